// Three things that the theme leaves out: what scrolls sideways can be reached by keyboard; the bibliography, whose
// entries have a role of their own, does not claim to be a list; a tap on a solution's title unfolds it, where a link
// in the title would lead away.
function mend() {
  document.querySelectorAll(".bd-article table, .bd-article pre, .bd-article .cell_output, .bd-article .math").forEach((box) => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  });
  document.querySelectorAll(".solution > .admonition-title > a").forEach((link) => link.replaceWith(...link.childNodes));
  document.querySelectorAll(".citation-list[role=list]").forEach((list) => list.removeAttribute("role"));
}
window.addEventListener("load", mend);
window.addEventListener("resize", mend);
