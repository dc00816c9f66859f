// The event stream, once for all tabs of a browser: browsers allow only six connections to a server without
// HTTP/2, and a stream takes one for as long as it is open. This is a shared worker; where there are none, a
// module of the page, for that page alone.
//
// A tab gets lists of a kind and a text: the stream's events as they come, and what happens to the stream.
// What a tab gets after "hello" is exactly what a stream of its own could bring: first a snapshot, or after
// "error" what the server replays; then every event.

// A stream that has been silent for so long is no longer one to join: the server sends something every second.
const LATE_MS = 3000;
// As much of the past is repeated to a tab with a snapshot of another connection, which may be of another
// replica: what the server itself replays, and what may be on its way.
const REPLAYED_MS = 6000;
// After so much time without an event, whatever the stream does, the server is asked for what is new. If it
// answers, something between withholds the stream.
const SILENT_MS = 4000;
// A stream that breaks off so many times in a row, each time before it has lasted, is withheld too.
const CUTS = 3;
const LASTING_MS = 30_000;
// How often it is asked then.
const POLL_MS = 2000;
// How long an attempt to stream again may take, and the time to the first one: longer if the stream has spoken
// before, because values may then stand still until an attempt is seen to fail. That time doubles.
const ATTEMPT_MS = 5000;
const FIRST_ATTEMPT_MS = 5000;
const FIRST_ATTEMPT_OF_SPEAKER_MS = 60_000;
const LAST_ATTEMPT_MS = 600_000;
let attemptAfterMs = 0;

// Each tab's port, and whether it follows the main stream. Until then it waits for a snapshot.
const tabs = new Map();
// The stream that is followed, and another one that is open only until its snapshot has come.
let main = null;
let base = null;
// The main stream's newest snapshots and deltas, its newest totals, and what it last said of alerts.
let recent = [];
let totals = null;
let alerts = null;
let watchedMs = performance.now();
// When the main stream has last brought an event, or when somebody began to wait for one.
let stirredMs = performance.now();
let cuts = 0;
// The server has been out of reach, or may have been: once it answers, the stream gets another chance.
let mayBeBack = false;

globalThis.onconnect = ({ ports: [port] }) => join(port);
setInterval(watch, 500);

const url = (query) => new URL(`api/stream${query}`, import.meta.url);

export function join(port) {
  port.onmessage = port.onclose = () => leave(port);
  port.postMessage(["hello"]);
  if (tabs.size === 0) stirredMs = performance.now();
  tabs.set(port, false);
  if (!isFresh()) {
    close(main);
    main = open();
  } else if (recent[0]?.kind === "snapshot") {
    port.postMessage(["open"]);
    attach(port);
  } else if (!main.source) {
    port.postMessage(["open"]);
    poll(main);
  } else if (recent.length > 0) {
    base ??= open();
  }
}

// A tab that crashes is not always reported. Its messages are dropped, and the browser ends the worker with
// its last tab.
function leave(port) {
  tabs.delete(port);
  if (![...tabs.values()].includes(false)) base = close(base);
  if (tabs.size === 0) main = close(main);
}

function open() {
  const nowMs = performance.now();
  const source = new EventSource(url(""));
  const line = { source, id: "", epoch: "", openedMs: nowMs, heardMs: nowMs, askedMs: -Infinity, spokeMs: null };
  for (const kind of ["open", "error", "snapshot", "delta", "stats", "alerts", "ping"]) {
    line.source.addEventListener(kind, ({ data, lastEventId }) => receive(line, kind, data, lastEventId));
  }
  return line;
}

function close(line) {
  line?.source?.close();
  if (line === main) [recent, totals, alerts] = [[], null, null];
  return null;
}

const isFresh = () => main !== null && performance.now() - main.heardMs < LATE_MS + (main.source ? 0 : POLL_MS);

// To the tabs that follow the main stream, and to those that wait for it.
function tell(...message) {
  for (const [port, follows] of tabs) if (follows || base === null) port.postMessage(message);
}

function receive(line, kind, text, id) {
  if (line !== main && line !== base) return;
  if (kind === "error") return fail(line);
  line.heardMs = performance.now();
  if (kind === "open") {
    if (line === main) tell(kind);
    return;
  }
  line.spokeMs ??= line.heardMs;
  line.isBroken = false;
  if (line === main) [stirredMs, mayBeBack] = [line.heardMs, false];
  // Events without an id have that of the event before them.
  if (id !== line.id) line.epoch = id.split("-")[0];
  else if (kind === "snapshot") line.epoch = "";
  line.id = id;
  if (line === main) pass(kind, text);
  else if (kind === "snapshot") settle(text);
}

// An event of the main stream.
function pass(kind, text) {
  if (kind === "snapshot") {
    recent = [];
    for (const [port, follows] of tabs) {
      if (!follows && !main.source) port.postMessage(["polled"]);
      tabs.set(port, true);
    }
  }
  if (kind === "stats") totals = text;
  else if (kind === "alerts") alerts = text;
  else if (kind === "snapshot" || (kind === "delta" && recent.length > 0)) recent.push({ kind, text, atMs: main.heardMs });
  const keptMs = (base?.openedMs ?? main.heardMs) - REPLAYED_MS;
  while (recent.length > 1 && recent[0].atMs < keptMs) recent.shift();
  tell(kind, text);
}

// The base's snapshot goes to those who wait for one, if the main stream's events continue it: rows of another
// epoch have other numbers. Values are absolute, so repeated ones are harmless.
function settle(snapshot) {
  const line = base;
  base = null;
  if (isFresh() && main.source && line.epoch && line.epoch === main.epoch) {
    close(line);
    for (const [port, follows] of tabs) {
      if (follows) continue;
      port.postMessage(["open"]);
      port.postMessage(["snapshot", snapshot]);
      attach(port);
    }
    return;
  }
  close(main);
  main = line;
  tell("open");
  pass("snapshot", snapshot);
}

function attach(port) {
  tabs.set(port, true);
  if (!main.source) port.postMessage(["polled"]);
  for (const { kind, text } of recent) port.postMessage([kind, text]);
  if (totals) port.postMessage(["stats", totals]);
  if (alerts) port.postMessage(["alerts", alerts]);
}

// The stream has broken. Unless it had spoken, the server is asked before the tabs learn of it: it may be there.
function fail(line) {
  if (line === base) {
    base = close(base);
    if (main?.source) for (const [port, follows] of tabs) if (!follows) port.postMessage(["closed"]);
    return;
  }
  // Whoever comes now need not wait until the browser tries again.
  line.heardMs = -Infinity;
  line.isBroken = true;
  const hasSpoken = line.spokeMs !== null;
  if (hasSpoken) {
    const hasLasted = performance.now() - line.spokeMs > LASTING_MS;
    [cuts, attemptAfterMs, line.spokeMs] = hasLasted ? [1, 0, null] : [cuts + 1, attemptAfterMs, null];
  }
  if (hasSpoken && cuts < CUTS) {
    mayBeBack = true;
    report(line);
  } else {
    poll(line);
  }
}

// Reports to the tabs that the stream has broken, and whether the browser tries again by itself.
function report(line) {
  line.isBroken = false;
  const isFinal = line.source?.readyState !== EventSource.CONNECTING;
  if (isFinal) main = close(main);
  tell(isFinal ? "closed" : "error");
}

function watch() {
  const nowMs = performance.now();
  // The computer has slept, or the browser has stopped its timers: the stream has had no time to speak.
  const hasSlept = nowMs - watchedMs > LATE_MS;
  watchedMs = nowMs;
  if (!main) return;
  if (hasSlept) stirredMs = nowMs;
  const isDue = nowMs - main.askedMs >= POLL_MS;
  if (main.source) {
    if (isDue && nowMs - stirredMs > SILENT_MS) poll(main);
    return;
  }
  if (isDue) poll(main);
  if (base && nowMs - base.openedMs > ATTEMPT_MS) base = close(base);
  if (!base && nowMs - main.openedMs > attemptAfterMs) {
    attemptAfterMs = Math.min(2 * attemptAfterMs, LAST_ATTEMPT_MS);
    main.openedMs = nowMs;
    base = open();
  }
}

// Asks for what is new since the newest event, or for a snapshot.
async function poll(line) {
  if (line.isAsking) return;
  const { source } = line;
  const stirredBeforeMs = stirredMs;
  [line.isAsking, line.askedMs] = [true, performance.now()];
  let events = [];
  try {
    const isAwaited = [...tabs.values()].includes(false);
    const headers = line.id && !isAwaited ? { "last-event-id": line.id } : {};
    const answer = await fetch(url("?once"), { headers, cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (answer.ok) events = read(await answer.text());
  } catch {
    // As if there were no events.
  }
  line.isAsking = false;
  // Meanwhile the stream may have spoken, or have been replaced.
  if (line !== main || (source && stirredMs !== stirredBeforeMs && !line.isBroken)) return;
  if (events.length === 0) {
    mayBeBack = true;
    if (!source || line.isBroken) report(line);
  } else if (source && mayBeBack) {
    reopen();
  } else {
    if (source) withhold(line);
    for (const { kind, data, id } of events) receive(line, kind, data, id ?? (kind === "stats" || kind === "alerts" ? line.id : ""));
  }
}

// The server is back, and its stream has all its time.
function reopen() {
  close(main);
  main = open();
  [stirredMs, mayBeBack] = [performance.now(), false];
}

// The server answers, but its stream does not arrive.
function withhold(line) {
  line.source.close();
  const firstMs = line.id ? FIRST_ATTEMPT_OF_SPEAKER_MS : FIRST_ATTEMPT_MS;
  attemptAfterMs = Math.max(attemptAfterMs, firstMs);
  [line.source, line.openedMs] = [null, performance.now()];
  tell("open");
  tell("polled");
}

// The events of an answer; a text is one line.
function read(text) {
  const frame = (lines) => {
    const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    return { kind: field("event"), id: field("id"), data: field("data") };
  };
  return text.split("\n\n").map((part) => frame(part.split("\n"))).filter(({ kind }) => kind);
}
