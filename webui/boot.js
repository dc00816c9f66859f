// Starts the page's program, and reports when it has crashed. A plain script in the head, so that the chosen
// colours are set before the first paint.
try {
  const theme = localStorage.getItem("tidemap-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // If storage is forbidden, the system's colours are used.
}

// The program ends by throwing an error object. Other errors that reach the window, such as a resize
// observer's, have none.
addEventListener("error", ({ error }) => {
  if (error) show("The page has crashed", "Its values are no longer current. The fleet is not affected.", error);
});

// Paper does not scroll. A higher scroller makes the table write up to some thousand rows.
for (const [event, height] of [["beforeprint", "100000px"], ["afterprint", ""]]) {
  addEventListener(event, () => (document.querySelector(".scroller").style.minHeight = height));
}

document.addEventListener("DOMContentLoaded", async () => {
  // Loaded as a style sheet for print, it has not delayed the first paint.
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
