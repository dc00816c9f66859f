// Starts the page's program. A plain script in the head, so that the chosen colours are there before the first paint.
try {
  const theme = localStorage.getItem("tidemap-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's colours do.
}

document.addEventListener("DOMContentLoaded", async () => {
  try {
    const glue = await import("{{glue}}");
    await glue.default({ module_or_path: "{{wasm}}" });
  } catch (error) {
    // A crash of the running program shows its own report.
    if (document.querySelector(".crash, #connection")) return;
    const message = document.createElement("p");
    message.className = "bare";
    message.textContent = `The page cannot start: ${error}. It needs a browser with WebAssembly.`;
    document.getElementById("app").replaceChildren(message);
  }
});
