// Runs before the page's own scripts, and notes what the page costs. Its lists have a fixed length: it must not grow
// with what it watches.
(() => {
  const LENGTH = 1 << 14;
  class Series {
    values = new Float32Array(LENGTH);
    count = 0;
    add(value) {
      this.values[this.count++ % LENGTH] = value;
    }
    read() {
      return Array.from(this.values.subarray(0, Math.min(this.count, LENGTH)));
    }
  }
  const names = ["frames", "page_frames", "deltas", "snapshots", "rows", "map", "pixels", "tasks", "long_frames", "interactions"];
  const series = Object.fromEntries(names.map((name) => [name, new Series()]));
  const violations = [];
  let firstRow = null;
  let memory = null;
  let isPainted = false;

  // The page's own frames, and all frames.
  const nextFrame = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (draw) =>
    nextFrame((now) => {
      const begun = performance.now();
      draw(now);
      series.page_frames.add(performance.now() - begun);
    });
  let before = null;
  const count = (now) => {
    if (before !== null) series.frames.add(now - before);
    before = now;
    nextFrame(count);
  };
  nextFrame(count);

  // What the page does with what the stream says, from the text to the last column.
  EventSource.prototype.addEventListener = function (name, listener) {
    const list = { delta: series.deltas, snapshot: series.snapshots }[name];
    EventTarget.prototype.addEventListener.call(this, name, (event) => {
      const begun = performance.now();
      listener.call(this, event);
      list?.add(performance.now() - begun);
    });
  };

  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (...args) {
    const begun = performance.now();
    put.apply(this, args);
    series.pixels.add(performance.now() - begun);
    isPainted = true;
  };

  for (const name of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[name].bind(WebAssembly);
    WebAssembly[name] = async (...args) => {
      const made = await original(...args);
      memory = (made.instance ?? made).exports.memory;
      return made;
    };
  }

  const observe = (type, options, note) =>
    new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type, ...options });
  observe("longtask", {}, (task) => series.tasks.add(task.duration));
  observe("long-animation-frame", {}, (frame) => series.long_frames.add(frame.duration));
  // From the key or the button to the paint that shows what it did. The browser reports none below 16 ms.
  const isMeant = ({ name }) => ["click", "keydown", "input"].includes(name);
  observe("event", { durationThreshold: 16 }, (event) => isMeant(event) && series.interactions.add(event.duration));

  document.addEventListener("securitypolicyviolation", (event) => violations.push(event.blockedURI));

  // What `?debug` says of the newest frame: "frame 3.2 ms = rows 1.1 + map 2.1, ...".
  const readDebug = () => {
    const said = document.getElementById("debug")?.textContent.match(/rows ([\d.]+) \+ map ([\d.]+)/);
    if (said) {
      series.rows.add(Number(said[1]));
      // A frame that leaves the map as it is says nothing about drawing it.
      if (isPainted) series.map.add(Number(said[2]));
      isPainted = false;
    }
  };
  const watched = { childList: true, subtree: true, characterData: true };
  new MutationObserver((changes, watcher) => {
    if (!document.querySelector("tr[data-node]")) return;
    watcher.disconnect();
    // It counts when it has been painted.
    nextFrame(() => setTimeout(() => (firstRow = performance.now())));
    const debug = document.getElementById("debug");
    if (debug) new MutationObserver(readDebug).observe(debug, watched);
  }).observe(document, { ...watched, attributeFilter: ["data-node"] });

  const weights = () => {
    const loads = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    return loads.map(({ name, encodedBodySize, decodedBodySize }) => [name, encodedBodySize, decodedBodySize]);
  };

  window.benchRecorder = {
    // Does not count as the page's.
    nextFrame,
    reset() {
      for (const list of Object.values(series)) list.count = 0;
      before = null;
      performance.clearResourceTimings();
    },
    deltaCount: () => series.deltas.count,
    read: () => ({
      ...Object.fromEntries(names.map((name) => [name, series[name].read()])),
      first_paint_ms: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null,
      first_row_ms: firstRow,
      wasm_bytes: memory?.buffer.byteLength ?? 0,
      row_elements: document.querySelectorAll("#nodes tbody tr").length,
      elements: document.querySelectorAll("*").length,
      weights: weights(),
      foreign: weights().filter(([url]) => new URL(url).origin !== location.origin && !url.startsWith("data:")).length,
      violations: violations.length,
    }),
  };
})();
