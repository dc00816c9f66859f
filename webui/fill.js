// Fills the small lines with what was before the page opened, or while it was away: without this they begin
// empty at each load, although the server knows. It is not in the page's program, because it only asks.
//
// The fleet's line takes a request, and two more while the server itself has not run for so long. A row's takes
// one, when the row is on screen: nobody sees the rest.

// As much of the fleet's line, and steps that are fine enough for it.
const LINE_MS = 300_000;
const STEP_MS = 4000;
const MINUTE_MS = 60_000;
// A row's line has a point a second. So many seconds after a snapshot there is nothing left to fill.
const POINTS = 60;
// Requests for rows at a time, and how many may be made at once; each second allows one more.
const AT_ONCE = 3;
const MOST_CREDIT = 30;
// The rows of an event are drawn in one of so many frames after it.
const FRAMES = 10;

// The nodes that were asked for since the newest snapshot, and the seconds since.
let asked = new Set();
let seconds = 0;
let isLineDue = false;
// When the newest totals are from.
let newestMs = Infinity;
let credit = MOST_CREDIT;
let waiting = 0;
// Grows with each snapshot: rows have other numbers then, and their lines begin again.
let round = 0;

// An event of the stream. `tell` takes the moments, and the rates at them, of a node or of the fleet.
export function hear(kind, text, tell) {
  if (kind === "snapshot") {
    [asked, seconds, isLineDue] = [new Set(), 0, true];
    round++;
    return;
  }
  seconds++;
  credit = Math.min(credit + 1, MOST_CREDIT);
  const nowMs = timeOf(text);
  if (!nowMs) return;
  // The stream was interrupted, and went on without a snapshot. Rows' lines go on where they were.
  if (nowMs - newestMs > STEP_MS) isLineDue = true;
  newestMs = nowMs;
  if (document.hidden) return;
  if (isLineDue) {
    isLineDue = false;
    fillFleet(nowMs, tell);
  }
  askSoon(tell, FRAMES);
}

// When totals are from; nothing for a text that is none, which the page's program refuses.
function timeOf(text) {
  try {
    return Math.floor(JSON.parse(text).timestamp * 1000);
  } catch {
    return 0;
  }
}

async function ask(path) {
  try {
    const answer = await fetch(new URL(`api/${path}`, import.meta.url));
    if (answer.status === 429) credit = -MOST_CREDIT;
    return answer.ok ? await answer.json() : null;
  } catch {
    return null; // The line fills as time passes.
  }
}

// What the server has heard, and before that the history's minutes that are complete.
async function fillFleet(nowMs, tell) {
  const fromMs = Math.ceil((nowMs - LINE_MS) / STEP_MS) * STEP_MS;
  const recent = await ask("stats/recent");
  const points = { at: [], rx: [], tx: [] };
  let history = null;
  for (let at = fromMs; at < nowMs; at += STEP_MS) {
    let rates = ratesAt(recent, at);
    if (!rates) {
      history ??= await askHistory(fromMs, nowMs);
      rates = ratesAt(history, at);
    }
    if (rates) add(points, at, rates);
  }
  tell(points);
}

// Without a station it is empty, which is no error, and neither in the browser's log.
async function askHistory(fromMs, nowMs) {
  const { complete_until_ms: knownMs } = (await ask("history/status")) ?? {};
  const history = knownMs > fromMs ? await ask(`history?from=${fromMs}&to=${nowMs}&step=60s`) : null;
  if (!history) return {};
  const isComplete = (minute) => history.from_ms + (minute + 1) * MINUTE_MS <= history.complete_until_ms;
  const rates = (column) => column.map((bytes, minute) => (bytes !== null && isComplete(minute) ? bytes / 60 : null));
  return { step_ms: MINUTE_MS, end_ms: history.to_ms, rx_bps: rates(history.rx_bytes), tx_bps: rates(history.tx_bytes) };
}

// Download and upload in steps that end together, at a moment; nothing where one of them is not known.
function ratesAt(steps, at) {
  if (!steps?.rx_bps) return null;
  const place = Math.floor((at - steps.end_ms) / steps.step_ms) + steps.rx_bps.length;
  const rates = [steps.rx_bps[place], steps.tx_bps[place]];
  return rates.every(Number.isFinite) ? rates : null;
}

// Names that a path cannot hold: browsers resolve dots, and proxies decode slashes.
const isAskable = (name) => !/^\.\.?$|[/\\]/.test(name);

// Once there are rows.
function askSoon(tell, frames) {
  if (askRows(tell) || !frames) return;
  requestAnimationFrame(() => askSoon(tell, frames - 1));
}

// Those on screen that have not been asked for yet. Returns whether there are lines on screen.
function askRows(tell) {
  if (seconds > POINTS) return true;
  const rows = [...document.querySelectorAll(".grid-node[data-node]")];
  const trend = rows[0]?.querySelector(".cell-trend");
  if (!trend || trend.checkVisibility?.({ visibilityProperty: true }) === false) return false;
  for (const { dataset: { node } } of rows) {
    if (!isAskable(node) || asked.has(node)) continue;
    if (waiting >= AT_ONCE || credit < 1) break;
    asked.add(node);
    credit--;
    waiting++;
    const begun = round;
    ask(`nodes/${encodeURIComponent(node)}`).then((answer) => {
      waiting--;
      // Its place in the trend is not known any more.
      if (begun !== round) return;
      if (answer?.last_60s) tell(ofNode(node, answer));
      askRows(tell);
    });
  }
  return true;
}

// The node's last minute, at positions in its line. Until the next report, the last one holds.
function ofNode(node, { last_60s: minute, last_seen_timestamp: seenS, age_ms, interval_ms }) {
  const lateMs = seenS * 1000 + age_ms - minute.end_ms;
  const points = { node, at: [], rx: [], tx: [] };
  const hold = Math.ceil(interval_ms / minute.step_ms);
  let last = null;
  minute.rx_bps.forEach((rx, step) => {
    const tx = minute.tx_bps[step];
    if (rx !== null || tx !== null) last = { step, rates: [rx ?? 0, tx ?? 0] };
    const agoMs = (minute.rx_bps.length - 1 - step) * minute.step_ms + lateMs;
    const at = POINTS - 1 - Math.round(agoMs / 1000);
    if (last && step - last.step < hold && at >= 0 && at < POINTS) add(points, at, last.rates);
  });
  return points;
}

function add(points, at, [rx, tx]) {
  points.at.push(at);
  points.rx.push(Math.round(rx));
  points.tx.push(Math.round(tx));
}
