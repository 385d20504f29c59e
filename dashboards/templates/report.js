"use strict";
(() => {
  // The browser does not tell the paper's width; upright A4 has about this width between its margins.
  const PRINT_WIDTH_PX = 700;
  // On a touch screen, dragging scrolls the page; zooming by dragging would trap the reader's finger.
  const isTouch = matchMedia("(pointer: coarse)").matches;
  const config = { displayModeBar: false, responsive: true };
  const plots = [...document.querySelectorAll(".plot")];

  // The height of a figure with pictures follows from its width, so that the pictures keep their shape.
  const height = (layout, width) =>
    layout.meta ? layout.meta.extra_height_px + layout.meta.height_per_width * width : layout.height;

  for (const plot of plots) {
    const figure = JSON.parse(plot.firstElementChild.textContent);
    if (isTouch) figure.layout.dragmode = false;
    figure.layout.height = height(figure.layout, plot.clientWidth);
    Plotly.newPlot(plot, figure.data, figure.layout, config);
  }

  const resize = (width) => {
    for (const plot of plots) {
      const size = { width, height: height(plot.layout, width ?? plot.clientWidth) };
      // Without `width: null`, Plotly would keep the paper's width after printing.
      Plotly.relayout(plot, width ? size : { ...size, width: null, autosize: true });
    }
  };
  addEventListener("resize", () => resize());
  addEventListener("beforeprint", () => {
    // A folded traceback would not be printed.
    document.querySelectorAll("details").forEach((details) => (details.open = true));
    resize(PRINT_WIDTH_PX);
  });
  addEventListener("afterprint", () => resize());

  const sortBy = (table, heading) => {
    const column = heading.cellIndex;
    const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
    const compare = (first, second) => {
      const [a, b] = [first.cells[column], second.cells[column]];
      const [x, y] = [a.dataset.number, b.dataset.number];
      if (x !== undefined && y !== undefined) return sign * (x - y);
      if (x !== undefined || y !== undefined) return x === undefined ? 1 : -1; // cells without a number stay last
      return sign * a.textContent.localeCompare(b.textContent);
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(compare));
  };
  // A page opened from a disk may have no clipboard; then the text is selected, ready for the keys that copy.
  const copy = async (button) => {
    const source = button.previousElementSibling?.matches("code")
      ? button.previousElementSibling
      : button.closest("details").querySelector(".copied");
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "selected";
    }
    setTimeout(() => (button.textContent = "copy"), 2000);
  };
  for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copy(button));

  const save = (button) => {
    const content = button.closest("details").querySelector(".copied").textContent;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type: "text/yaml" }));
    link.download = button.dataset.file;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  for (const button of document.querySelectorAll(".save")) button.addEventListener("click", () => save(button));

  for (const heading of document.querySelectorAll("#trials thead th")) {
    heading.firstElementChild.addEventListener("click", () => sortBy(heading.closest("table"), heading));
  }
})();
