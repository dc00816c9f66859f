// Starts the page's program, and reports when it has crashed. A plain script in the head, so that the chosen
// colours are there before the first paint.
try {
  const theme = localStorage.getItem("tidemap-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's colours do.
}

// The program stops by throwing. Other errors that reach the window, such as a resize observer's, bring no
// error object.
addEventListener("error", ({ error }) => {
  if (error) show("The page has crashed", "Nothing on it is true any more. The fleet is not affected.", error);
});

// Sheets of paper do not scroll: as if the screen were that high, up to some thousand rows are written.
for (const [event, height] of [["beforeprint", "100000px"], ["afterprint", ""]]) {
  addEventListener(event, () => (document.querySelector(".scroller").style.minHeight = height));
}

document.addEventListener("DOMContentLoaded", async () => {
  // As a sheet for paper it has not held up the first paint.
  document.getElementById("details-style").media = "all";
  try {
    const glue = await import("{{glue}}");
    await glue.default({ module_or_path: "{{wasm}}" });
  } catch (error) {
    show("The page cannot start", "It needs a browser with WebAssembly and its vector instructions, as all have had since 2023. The same data as JSON: /api/nodes", error);
  }
});

function show(title, text, error) {
  if (document.querySelector(".crash")) return;
  const add = (parent, tag, content, properties) => {
    const element = Object.assign(document.createElement(tag), { textContent: content }, properties);
    return parent.appendChild(element);
  };
  const overlay = add(document.body, "div", "", { className: "crash", role: "alertdialog", ariaLabel: title });
  const card = add(overlay, "div", "", { className: "crash-card" });
  add(card, "h1", title);
  add(card, "p", text);
  add(card, "button", "Reload", { className: "button", onclick: () => location.reload() }).focus();
  add(card, "textarea", `${error}\n${error.stack}`, { readOnly: true, ariaLabel: "Report to copy" });
}
