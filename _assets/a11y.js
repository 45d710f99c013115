// Two things that the theme leaves out: what scrolls sideways can be reached by keyboard, and the bibliography,
// whose entries have a role of their own, does not claim to be a list.
function mend() {
  document.querySelectorAll(".bd-article table, .bd-article pre, .bd-article .cell_output, .bd-article .math").forEach((box) => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  });
  document.querySelectorAll(".citation-list[role=list]").forEach((list) => list.removeAttribute("role"));
}
window.addEventListener("load", mend);
window.addEventListener("resize", mend);
