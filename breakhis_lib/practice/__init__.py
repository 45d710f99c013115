"""Simulated slides: drawings in BreakHis' layout, so that everything runs without BreakHis."""

from breakhis_lib.practice.slides import make, pixel_size, render, slide, visible_nuclei

__all__ = ["make", "pixel_size", "render", "slide", "visible_nuclei"]
