// Starts the page's program, and reports when it has crashed. A plain script in the head, so that the chosen
// colours are set before the first paint.
try {
  const theme = localStorage.getItem("tidemap-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // If storage is forbidden, the system's colours are used.
}

// Without the name and the password that the page's address may contain, which no request may.
const at = (path) => new URL(path, location.origin + location.pathname).href;

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
    const glue = await import(at("{{glue}}"));
    await glue.default({ module_or_path: at("{{wasm}}") });
  } catch (error) {
    show("The page cannot start", "It needs a browser with WebAssembly and its vector instructions, as all have had since 2023. The same data as JSON: api/nodes", error);
  }
});

// Shows what an address asks for: a time other than now, and a view in the place of the table of nodes. For most
// of that the page has a second program, which is loaded when it is first needed, and an address is all that the
// two share.
let past = null;
let tellPage;
const isTime = (pair) => /^(range|from|to|spike)=/.test(pair);
const isView = (pair) => /^(view|month|rank|state)=/.test(pair);

// A step to the address without the pairs that `isOther` finds, and with this pair.
const go = (isOther, pair) => {
  const pairs = location.search.slice(1).split("&").filter((old) => old && !isOther(old)).concat(pair || []);
  history.pushState(null, "", location.pathname + (pairs.length ? `?${pairs.join("&")}` : ""));
  dispatchEvent(new PopStateEvent("popstate"));
};

const BELL = "M8 2a4 4 0 0 0-4 4c0 4-1.5 5-1.5 5h11S12 10 12 6a4 4 0 0 0-4-4zM6.7 13.5a1.5 1.5 0 0 0 2.6 0";

// The switch: the address's name for a view, its title, and for one of the second program what must answer
// before it is offered and the sign of its tab on a phone.
const VIEWS = [
  ["", "Nodes"],
  ["summary", "Summary"],
  ["traffic", "Traffic", "api/history/status", "M3 2.5v11M6 4.5h7M6 8h5M6 11.5h3"],
  // Offered once the stream speaks of alerts.
  ["events", "Events", "api/alerts", BELL],
];
const laterViews = VIEWS.filter(([, , url]) => url);

const offer = ([name, title, , sign]) => {
  const place = (view) => VIEWS.findIndex(([name]) => name === view);
  const add = (parent, className, state, content) => {
    const others = [...parent.querySelectorAll("[data-view]")];
    if (others.some(({ dataset }) => dataset.view === name)) return;
    const button = Object.assign(document.createElement("button"), { type: "button", className, innerHTML: content });
    button.dataset.view = name;
    button.setAttribute(state, false);
    parent.insertBefore(button, others.find(({ dataset }) => place(dataset.view) > place(name)) || null);
  };
  const switches = document.querySelector(".switches");
  add(switches, "switch", "aria-pressed", title);
  if (sign) add(document.querySelector(".tabs"), "tab", "aria-current", `<svg class=icon viewBox="0 0 16 16" aria-hidden=true><path d="${sign}"/></svg><span>${title}</span>`);
  // The table's caption stands beside the switch.
  document.querySelector(".app").style.setProperty("--switches", `${switches.offsetWidth + 17}px`);
};

// Says what is shown, and makes room for what the second program fills. Whether it fills anything.
const showView = (query) => {
  const asked = new URLSearchParams(query).get("view") || "";
  const [name, title, url] = VIEWS.find(([name]) => name === asked) || VIEWS[0];
  for (const view of VIEWS) if (!view[2] || view[0] === name) offer(view);
  for (const button of document.querySelectorAll("button[data-view]")) {
    button.setAttribute(button.ariaPressed ? "aria-pressed" : "aria-current", button.dataset.view === name);
  }
  const app = document.querySelector(".app");
  if (name) app.dataset.view = name;
  else delete app.dataset.view;
  for (const [other] of laterViews) {
    const section = document.getElementById(other);
    if (section) section.hidden = other !== name;
    else if (other === name) {
      document.querySelector(".side").insertAdjacentHTML("beforeend", `<section class='region region-later panel' id=${name} aria-label=${title} tabindex=-1><p class=past-word role=status>Loading…</p></section>`);
    }
  }
  return url;
};

// What has something to show is offered once the present is there.
let isOffering = false;
const offerLater = () => {
  if (isOffering) return;
  isOffering = true;
  const ask = async (path) => {
    const answer = await fetch(at(path));
    return answer.ok && answer.json();
  };
  for (const view of laterViews.filter(([name]) => name !== "events")) {
    ask(view[2]).then((answer) => answer && answer.enabled !== false && offer(view)).catch(() => {});
  }
};

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-view]");
  if (!button) return;
  go(isView, button.dataset.view && `view=${button.dataset.view}`);
  // Whoever comes by the bell goes on among the events.
  if (button.id === "bell") toEvents();
});

globalThis.showPast = async (query) => {
  // The elements are there once the page's program has made them.
  await null;
  const node = new URLSearchParams(query).get("node");
  const isLater = showView(query) || node;
  // A moment of it that is looked at is no other time.
  const time = query.slice(1).split("&").filter((pair) => isTime(pair) && !pair.startsWith("spike=")).join("&");
  // Another address is another link to copy.
  document.getElementById("detail-copy").textContent = "Copy link";
  document.querySelector(".app").dataset.time = time ? "past" : "live";
  const list = document.getElementById("time");
  const other = list.lastElementChild;
  other.hidden = [...list.options].some((option) => option !== other && option.value === time);
  if (!other.hidden) other.value = time;
  list.value = time;
  if (!past && !time && !isLater) return;
  const section = "<section class='past panel' id=past aria-label='The past'><p class=past-word role=status>Loading…</p></section>";
  if (time && !document.getElementById("past")) document.querySelector(".kpis").insertAdjacentHTML("afterend", section);
  past ??= import(at("{{past-glue}}")).then(async (glue) => {
    await glue.default({ module_or_path: at("{{past-wasm}}") });
    if (alerts) glue.hear();
    return glue;
  });
  past.then((glue) => glue.show(query, (text) => tellPage("past", text)), () => {
    past = null;
    for (const word of document.querySelectorAll(".past-word")) word.textContent = "The program that shows this cannot be loaded. Reload the page, or choose Live and Nodes.";
  });
};

document.addEventListener("change", ({ target }) => {
  if (target.id !== "time") return;
  go(isTime, target.value);
});

// Keys choose a time: the number of its place in the list, or "l" for live.
document.addEventListener("keydown", ({ key, target, ctrlKey, metaKey, altKey }) => {
  const list = document.getElementById("time");
  if (!list || ctrlKey || metaKey || altKey || target.matches("input, select, textarea")) return;
  const option = key === "l" ? list.options[0] : /^[1-6]$/.test(key) && list.options[key - 1];
  if (!option || option.value === list.value) return;
  list.value = option.value;
  list.dispatchEvent(new Event("change", { bubbles: true }));
});

// Alerts. The stream says how many fire, beside its first snapshot and whenever that changes; where it does
// not, nothing watches any rule, and there is no bell. Which nodes they are about is asked for only while some
// fire.
let alerts = null;
let firingNodes = [];
// With a constructed sheet a node's row has a bell wherever the table draws it.
const bells = new CSSStyleSheet();
document.adoptedStyleSheets = [bells];
let asking = null;
const ASK_MS = 5000;

const hearAlerts = (text) => {
  const { firing, evaluator } = JSON.parse(text);
  const isNew = alerts?.text !== text;
  alerts = { text, firing };
  offer(VIEWS.find(([name]) => name === "events"));
  let bell = document.getElementById("bell");
  if (!bell) {
    document.querySelector(".header-end").insertAdjacentHTML("afterbegin", `<button class="button bell" id=bell type=button data-view=events aria-pressed=false aria-keyshortcuts=e><svg class=icon viewBox="0 0 16 16" aria-hidden=true><path d="${BELL}"/></svg><span class="bell-count live" aria-hidden=true></span></button>`);
    bell = document.getElementById("bell");
    bell.setAttribute("aria-pressed", document.querySelector(".app").dataset.view === "events");
    new MutationObserver(mark).observe(document.head, { subtree: true, childList: true, attributeFilter: ["href"] });
  }
  // Nobody watching is not the same as nothing firing.
  const count = firing > 999 ? "999+" : firing || (evaluator ? "" : "?");
  const words = (evaluator ? "" : "nobody watches, ") + `${firing || "none"} firing`;
  bell.ariaLabel = `Alerts: ${words}`;
  bell.title = `Alerts: ${words} (E)`;
  for (const place of [bell, document.querySelector(".tab[data-view=events]")]) {
    place.dataset.count = count;
    place.dataset.firing = firing > 0;
  }
  bell.lastElementChild.textContent = count;
  mark();
  if (!isNew) return;
  past?.then((glue) => glue.hear(), () => {});
  if (firing) asking ??= setTimeout(askWho, firingNodes.length ? ASK_MS : 0);
  else ring([]);
};

// Not more often than in some seconds, however often it changes.
const askWho = async () => {
  const { text } = alerts;
  try {
    const answer = await fetch(at("api/alerts?state=firing&limit=200"));
    if (answer.ok) ring((await answer.json()).firing.filter(({ target }) => target.kind === "node").map(({ target }) => target));
  } catch {
    // The next change asks again.
  }
  // What has changed meanwhile is asked for, too.
  asking = alerts.text === text ? null : setTimeout(askWho, ASK_MS);
};

const ring = (nodes) => {
  // Ids are written as subjects of NATS have them; rows have what they mean.
  firingNodes = alerts.firing ? nodes.map(({ id }) => decodeURIComponent(id.replaceAll("=", "%"))) : [];
  const rows = firingNodes.map((id) => `[data-node="${CSS.escape(id)}"]`);
  bells.replaceSync(rows.length ? `.grid-node:is(${rows}) .cell-name { --alert: "" / "alert" }` : "");
  if (/[?&]node=/.test(location.search)) showPast(location.search);
};

const toEvents = async () => {
  await null;
  document.getElementById("events")?.focus();
};

document.addEventListener("keydown", ({ key, target, ctrlKey, metaKey, altKey }) => {
  if (key !== "e" || ctrlKey || metaKey || altKey || target.matches("input, select, textarea")) return;
  document.getElementById("bell")?.click();
});

// While alerts fire, their number stands in the tab's title and on its icon, in place of that of nodes that
// are offline, which the page's program goes on writing. Each is kept as that wrote it, and as it is shown.
const title = { own: "", shown: "" };
const icon = { own: "", shown: "" };
const mark = () => {
  const link = document.querySelector("link[rel=icon]");
  const { firing } = alerts;
  const put = (place, now, marked, write) => {
    if (now !== place.shown) place.own = now;
    place.shown = (firing && marked(place.own)) || place.own;
    if (now !== place.shown) write(place.shown);
  };
  // The title of another time than now stays as it is.
  const words = `(${firing} alert${firing === 1 ? "" : "s"}) `;
  put(title, document.title, (own) => /^[(↓]/.test(own) && words + own.replace(/^\(.*?\) /, ""), (text) => (document.title = text));
  const svg = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' rx='7' fill='#a8201a'/><text x='16' y='23' text-anchor='middle' font-family='system-ui' font-size='20' fill='#fff'>${Math.min(firing, 99)}</text></svg>`;
  put(icon, link.getAttribute("href"), () => `data:image/svg+xml,${encodeURIComponent(svg)}`, (url) => link.setAttribute("href", url));
};

// Copies the page's address, which names the node whose details are open. Where the browser has no clipboard
// for us, the style sheet hides the button: the address bar says the same.
document.documentElement.dataset.clipboard = Boolean(navigator.clipboard);
document.addEventListener("click", ({ target }) => {
  if (target.id !== "detail-copy") return;
  // A refusal leaves the clipboard as it was, and the button says nothing else.
  navigator.clipboard.writeText(location.href).then(() => (target.textContent = "Copied"), () => {});
});

// What was before the page opened is asked for once the present is there. Without it, lines fill as time
// passes.
let filling = null;
const fill = (kind, text, receive) => {
  if (kind !== "snapshot" && kind !== "stats") return;
  offerLater();
  filling ??= import(at("{{fill}}")).catch(() => ({ hear: () => {} }));
  filling.then(({ hear }) => hear(kind, text, (before) => receive("before", JSON.stringify(before))));
};

// Opens the event stream for this page; `receive` gets what it brings. Returns how to close it. Nothing tells
// a page that a shared worker does not start, so one that says nothing is not waited for.
const SHARED_MS = 6000;
let canShare = "SharedWorker" in globalThis;
globalThis.openStream = (receive) => {
  tellPage = receive;
  let port = null;
  const use = (next, heard) => {
    port?.close();
    port = next;
    port.onmessage = ({ data: [kind, text] }) => {
      heard();
      if (kind === "alerts") return hearAlerts(text);
      receive(kind, text);
      fill(kind, text, receive);
    };
  };
  const alone = () => {
    const { port1, port2 } = new MessageChannel();
    use(port1, () => {});
    import(at("{{stream}}")).then(({ join }) => join(port2));
  };
  if (!canShare) alone();
  else {
    const giveUp = () => {
      canShare = false;
      if (port) alone();
    };
    const timer = setTimeout(giveUp, SHARED_MS);
    try {
      const worker = new SharedWorker(at("{{stream}}"), { type: "module" });
      worker.onerror = giveUp;
      use(worker.port, () => {
        clearTimeout(timer);
        worker.onerror = null;
      });
    } catch {
      clearTimeout(timer);
      canShare = false;
      alone();
    }
    return () => {
      clearTimeout(timer);
      leave();
    };
  }
  return leave;

  function leave() {
    port.postMessage("leave");
    port.close();
    port = null;
  }
};

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
