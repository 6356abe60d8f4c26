// What moves on a page: the socket that feeds it, and how what arrives is put in its place.
//
// The database is the truth and every card carries its version, so a frame may be doubled, late or lost: what is not newer
// is ignored, and what was missed is asked for again with the page's cursor. A page calls
//
//   connect("/ws/board/", { since, poll: "/board/changes/", onStatus, onFrame, onReset })
//
// Cards are applied here; `onFrame(frame)` sees every frame as well, and `onStatus({state, text})` what #live-status says.
// `hold(id)` keeps a card in hand as it is, `release(id)` gives it what arrived meanwhile, `apply(html)` takes the server's
// answer to a drop. After each paint of news the document hears `live:applied` with what changed place, and `live:back` when
// a connection that had been missed is there again.

const QUIET = 3000; // ms without a word (the server says one each second) until the page says so
const STALE = 10_000;
const GIVE_UP = 5000; // a socket that is open and silent is as good as cut
const POLL_EVERY = 10_000;
const LONGEST_DELAY = 4000;
const MOST_WAITING = 1000; // cards that wait for a paint; a tab hidden for longer fetches itself again
const MOST_LEFT = 5000;
const MOST_ANIMATED = 30;
const MOST_MOUNTED = 100; // cards of a column; what has been turned to beyond them stays
const COLUMNS_FULL_AT = 1000; // counts stop there
const FINAL = {
  4401: "You are signed out: what you see may be stale. Sign in again.",
  4403: "You may no longer see this: what you see may be stale.",
  4404: "This execution is no longer kept.",
};

// ---------------------------------------------------------------------------------------------- the connection

export function connect(url, { since = "", poll = "", onStatus, onFrame, onReset = fetchAgain } = {}) {
  let socket = null;
  let cursor = since;
  let attempts = 0;
  let heardAt = Date.now();
  let askedAt = 0;
  let isPolling = false;
  let isLive = false;
  let degraded = "";
  let ended = "";
  let said = "";
  let isLate = false;
  let next = 0;
  let resetting = false;

  function open() {
    clearTimeout(next);
    drop();
    const address = new URL(url, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    if (cursor) address.searchParams.set("since", cursor);
    const mine = (socket = new WebSocket(address));
    mine.onmessage = ({ data }) => {
      heardAt = Date.now();
      attempts = 0;
      isLive = true;
      isPolling = false;
      hear(JSON.parse(data));
      tell();
    };
    mine.onclose = ({ code }) => {
      if (mine !== socket) return;
      drop();
      ended = FINAL[code] ?? "";
      if (!ended) later();
      tell();
    };
  }

  function drop() {
    const old = socket;
    socket = null;
    isLive = false;
    if (old) {
      old.onmessage = old.onclose = null;
      old.close();
    }
  }

  function later() {
    const most = Math.min(LONGEST_DELAY, 250 * 2 ** attempts++);
    clearTimeout(next);
    next = setTimeout(open, Math.random() * most);
  }

  function again() {
    if (ended) return;
    attempts = 0;
    open();
  }

  function hear(frame) {
    if (frame.cursor > cursor) cursor = frame.cursor;
    if ("degraded" in frame) degraded = frame.degraded;
    if (!frame.reset) take(frame);
    if (frame.reset || (overflowed && !document.hidden)) reset();
    onFrame?.(frame);
  }

  async function reset() {
    if (resetting) return;
    resetting = true;
    await new Promise((wake) => setTimeout(wake, Math.random() * 500)); // not every page at once
    overflowed = false;
    try {
      await onReset();
    } catch {
      overflowed = true; // no answer now: the next news asks again, but not at once
      await new Promise((wake) => setTimeout(wake, QUIET));
    }
    resetting = false;
  }

  async function ask() {
    askedAt = Date.now();
    isPolling = false;
    try {
      const answer = await fetch(`${poll}?since=${encodeURIComponent(cursor)}`, {
        headers: { Accept: "application/json" },
        signal: AbortSignal.timeout(POLL_EVERY - 1000),
      });
      if (answer.status === 401) ended = FINAL[4401];
      if (answer.ok) {
        hear(await answer.json());
        isPolling = true;
      }
    } catch {
      // Neither way is open: the page may be stale, and says so.
    }
    tell();
  }

  function watch() {
    if (ended || document.hidden) return;
    const quiet = Date.now() - heardAt;
    if (socket && isLive && quiet > GIVE_UP) again();
    if (poll && quiet > STALE && Date.now() - askedAt > POLL_EVERY) ask();
    tell();
  }

  function tell() {
    const [state, text] = status(Date.now() - heardAt);
    document.body.dataset.live = state === "live" ? "on" : "off";
    if (said === state + text) return;
    if (state === "live" && isLate) document.dispatchEvent(new CustomEvent("live:back"));
    isLate = state !== "live" && (isLate || state !== "connecting");
    said = state + text;
    const place = document.getElementById("live-status");
    if (place) {
      place.textContent = text;
      place.dataset.state = state;
    }
    onStatus?.({ state, text });
  }

  function status(quiet) {
    if (ended) return ["ended", ended];
    if (isLive && quiet < QUIET) return ["live", degraded];
    if (quiet < QUIET) return ["connecting", ""];
    if (quiet < STALE) return ["paused", "Live updates paused — reconnecting"];
    if (isPolling) return ["polling", "No live connection: the board is fetched every 10 s and may be stale in between"];
    return ["stale", "Live updates paused — what you see may be stale. Reconnecting"];
  }

  function shown() {
    if (document.hidden || ended) return;
    if (!isLive || Date.now() - heardAt > QUIET) again();
    if (overflowed) reset();
    schedule();
  }

  const timer = setInterval(watch, 500);
  document.addEventListener("visibilitychange", shown);
  addEventListener("online", again);
  addEventListener("offline", () => {
    drop();
    later();
    tell();
  });
  addEventListener("pagehide", drop);
  addEventListener("pageshow", ({ persisted }) => persisted && again());
  open();
  return {
    close() {
      ended = "Live updates are off.";
      clearInterval(timer);
      clearTimeout(next);
      drop();
    },
  };
}

async function fetchAgain() {
  await handsEmpty();
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.redirected) return void location.reload(); // signed out meanwhile
  if (!answer.ok) throw new Error(answer.statusText);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.closest("[data-version]")?.id;
  waiting.clear();
  left.clear();
  for (const column of document.querySelectorAll("[data-column]")) {
    const theirs = fresh.querySelector(`[data-column="${column.dataset.column}"]`);
    if (!theirs) continue;
    const list = listOf(column);
    list.replaceChildren(...listOf(theirs).childNodes);
    window.htmx?.process(list);
    count(column, Number(counted(theirs)?.dataset.count ?? theirs.dataset.count));
  }
  if (focused) document.getElementById(focused)?.focus();
  document.dispatchEvent(new CustomEvent("live:applied", { detail: { reset: true, moved: [] } }));
}

// ---------------------------------------------------------------------------------------------- what waits for a paint

const waiting = new Map(); // element id → the newest that arrived: {version, html} or {version, gone: true}
const left = new Map(); // element id → the version with which it left the page
const inHand = new Map(); // element id → what arrived for a card that is being dragged
let reasons = {};
let totals = null;
let scheduled = false;
let overflowed = false;
let emptied = null;

function take(frame) {
  for (const { id, version, html } of [...(frame.cards ?? []), ...(frame.plans ?? [])]) keep(id, { version, html });
  for (const { id, version } of frame.gone ?? []) keep(id, { version: version ?? Infinity, gone: true });
  Object.assign(reasons, frame.why);
  if (frame.counts) totals = frame.counts;
  if (frame.questions !== undefined) badge(frame.questions);
  schedule();
}

function keep(id, news) {
  const place = inHand.has(id) ? inHand : waiting;
  const earlier = place.get(id);
  if (!earlier || news.version > earlier.version) place.set(id, news);
  if (waiting.size > MOST_WAITING) {
    waiting.clear();
    overflowed = true;
  }
}

function schedule() {
  if (scheduled || document.hidden) return; // a hidden tab paints nothing: it catches up when it is shown
  scheduled = true;
  requestAnimationFrame(paint);
}

function paint() {
  scheduled = false;
  const news = [...waiting].filter(([id, { version }]) => version > known(id));
  waiting.clear();
  const before = positions(news.map(([id]) => id));
  const moved = [];
  for (const [id, { version, html, gone }] of news) {
    const from = columnOf(document.getElementById(id));
    if (gone) leave(id, version);
    else show(parse(html)[0]);
    const to = columnOf(document.getElementById(id));
    if (from !== to) moved.push({ id, from, to });
  }
  glide(before);
  explain();
  if (totals) for (const [name, number] of Object.entries(totals)) count(columnNamed(name), number);
  totals = null;
  document.dispatchEvent(new CustomEvent("live:applied", { detail: { reset: false, moved } }));
}

export function hold(id) {
  if (!inHand.has(id)) inHand.set(id, waiting.get(id));
  waiting.delete(id);
}

export function release(id) {
  const news = inHand.get(id);
  inHand.delete(id);
  if (news) keep(id, news);
  if (!inHand.size) emptied?.();
  schedule();
}

// The socket may have been faster: then the newer card stays. Returns the cards that now stand on the page.
export function apply(html) {
  const told = parse(html);
  for (const card of told) if (Number(card.dataset.version) >= known(card.id)) show(card);
  return told.map(({ id }) => document.getElementById(id)).filter(Boolean);
}

function handsEmpty() {
  if (!inHand.size) return Promise.resolve();
  return new Promise((wake) => (emptied = wake));
}

// ---------------------------------------------------------------------------------------------- cards in their places

function known(id) {
  const card = document.getElementById(id);
  return Math.max(Number(card?.dataset.version ?? -1), left.get(id) ?? -1);
}

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return [...template.content.children];
}

function show(fresh) {
  const column = columnNamed(fresh.dataset.in);
  const list = listOf(column);
  const there = document.getElementById(fresh.id);
  const follower = list && followerOf(fresh, list);
  if (!list || (!follower && moreOf(list))) return void there?.remove(); // it stands on a page not turned to yet
  left.delete(fresh.id);
  const card = there ?? document.importNode(fresh, true);
  if (there) morph(there, fresh);
  const arrives = card.parentElement !== list;
  if (arrives || nextCard(card) !== follower) put(card, list, follower ?? endOf(list, card));
  if (arrives) shorten(column, list);
  window.htmx?.process(card);
}

function moreOf(list) {
  return list.querySelector(":scope > [data-more]");
}

function cardsOf(list) {
  return list.querySelectorAll(":scope > [data-order]");
}

function endOf(list, card) {
  const last = [...cardsOf(list)].filter((other) => other !== card).at(-1);
  return last ? last.nextElementSibling : list.firstElementChild;
}

// A page that stays open all day keeps its size: the last card makes room, and "Show more" begins before it.
function shorten(column, list) {
  const name = column.dataset.column;
  const cards = cardsOf(list);
  const last = cards[cards.length - 1];
  if (cards.length <= MOST_MOUNTED || name === "planning" || last.contains(document.activeElement) || inHand.has(last.id)) return;
  last.remove();
  const end = cards[cards.length - 2];
  const more = moreOf(list) ?? document.createElement("a");
  const after = name === "pending" ? end.dataset.order : isoOf(-Number(end.dataset.order));
  const query = new URLSearchParams({ column: name, after: `${after}~${end.dataset.execution}` });
  Object.assign(more, { className: "more", rel: "next", href: `/?${query}`, textContent: "Show more" });
  more.dataset.more = "";
  end.after(more);
}

// Seconds since 1970 to microseconds, rounded up: a card told twice is known by its id, one left out would be missed.
function isoOf(seconds) {
  const whole = Math.floor(seconds);
  const micros = Math.min(Math.ceil((seconds - whole) * 1e6) + 1, 999_999);
  return `${new Date(whole * 1000).toISOString().slice(0, 19)}.${String(micros).padStart(6, "0")}+00:00`;
}

function put(card, list, before) {
  const focused = card.contains(document.activeElement) ? document.activeElement : null;
  if (card.isConnected && list.moveBefore) list.moveBefore(card, before);
  else list.insertBefore(card, before);
  if (focused && document.activeElement !== focused) focused.focus();
}

function leave(id, version) {
  left.set(id, Math.max(version, left.get(id) ?? 0));
  if (left.size > MOST_LEFT) left.delete(left.keys().next().value);
  const card = document.getElementById(id);
  if (!card) return;
  if (card.contains(document.activeElement)) (nextCard(card) ?? card.previousElementSibling)?.focus();
  card.remove();
}

// Smallest order first; of two that are equal, the older id in what is yet to start, the newer in what has.
function followerOf(fresh, list) {
  const oldestFirst = ["planning", "pending"].includes(fresh.dataset.in);
  const order = Number(fresh.dataset.order);
  for (const card of list.children) {
    if (card.id === fresh.id || card.dataset.order === undefined) continue;
    const difference = Number(card.dataset.order) - order;
    const younger = card.id.localeCompare(fresh.id, "en", { numeric: true }) > 0;
    if (difference > 0 || (difference === 0 && younger === oldestFirst)) return card;
  }
  return undefined;
}

function nextCard(card) {
  let next = card.nextElementSibling;
  while (next && next.dataset.order === undefined) next = next.nextElementSibling;
  return next ?? undefined;
}

function columnNamed(name) {
  return name ? document.querySelector(`[data-column="${CSS.escape(name)}"]`) : null;
}

function columnOf(card) {
  return card?.closest("[data-column]")?.dataset.column ?? "";
}

function listOf(column) {
  return column && (column.querySelector("[data-cards]") ?? column);
}

// ---------------------------------------------------------------------------------------------- what stands beside cards

function explain() {
  for (const [id, why] of Object.entries(reasons)) {
    const card = document.getElementById(`execution-${id}`);
    const place = card?.querySelector("[data-reason]");
    if (!place || Number(card.dataset.version) !== why.version) continue;
    place.dataset.reason = why.code;
    place.textContent = why.sentence;
    if (why.due) place.append(" ", clock(why.due));
    place.closest(".why")?.classList.toggle("why--act", why.act);
  }
  reasons = {};
}

function clock(due) {
  const time = document.createElement("time");
  time.dateTime = due;
  time.dataset.clock = "due";
  return time;
}

function counted(column) {
  return column.matches("[data-count]") ? column : column.querySelector("[data-count]");
}

function count(column, number) {
  const place = column && counted(column);
  if (!place || Number.isNaN(number)) return;
  place.dataset.count = number;
  if (place !== column) place.textContent = number > COLUMNS_FULL_AT ? `${COLUMNS_FULL_AT}+` : number;
}

// In a hidden tab too: its title is all that is seen of it.
function badge(number) {
  for (const place of document.querySelectorAll("[data-questions]")) {
    place.textContent = number;
    place.hidden = number === 0;
  }
  const title = document.title.replace(/^\(\d+\) /, "");
  document.title = number ? `(${number}) ${title}` : title;
}

// ---------------------------------------------------------------------------------------------- without a jump

const KEPT = new Set(["data-htmx-powered", "open", "tabindex"]); // marks that belong to the page, not to the card

function morph(here, fresh) {
  for (const { name } of [...here.attributes]) {
    if (!KEPT.has(name) && !fresh.hasAttribute(name)) here.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (!KEPT.has(name) && here.getAttribute(name) !== value) here.setAttribute(name, value);
  }
  let old = here.firstChild;
  for (const node of [...fresh.childNodes]) {
    const same = findAlike(old, node);
    if (!same) {
      here.insertBefore(document.importNode(node, true), old);
      continue;
    }
    while (old !== same) old = removed(old);
    if (node.nodeType === Node.ELEMENT_NODE) morph(same, node);
    else if (same.nodeValue !== node.nodeValue) same.nodeValue = node.nodeValue;
    old = same.nextSibling;
  }
  while (old) old = removed(old);
}

function findAlike(from, node) {
  while (from && key(from) !== key(node)) from = from.nextSibling;
  return from;
}

// What a person aims at keeps its identity: a focused button never turns into another one.
function key(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return node.nodeName;
  const aim = node.id || node.getAttribute("formaction") || node.getAttribute("href") || node.getAttribute("hx-get") || "";
  return `${node.nodeName} ${aim} ${node.classList[0] ?? ""}`;
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

const still = matchMedia("(prefers-reduced-motion: reduce)");

function positions(ids) {
  if (still.matches || ids.length > MOST_ANIMATED) return null;
  return new Map(ids.map((id) => [id, document.getElementById(id)?.getBoundingClientRect()]));
}

function glide(before) {
  for (const [id, was] of before ?? []) {
    const card = document.getElementById(id);
    if (!card) continue;
    const now = card.getBoundingClientRect();
    const across = was ? was.left - now.left : 0;
    const down = was ? was.top - now.top : 0;
    if (!was) card.animate([{ opacity: 0 }, { opacity: 1 }], 160);
    else if (across || down) {
      const from = { transform: `translate(${across}px, ${down}px)` };
      card.animate([from, { transform: "none" }], { duration: 200, easing: "cubic-bezier(.2, .7, .2, 1)" });
    }
  }
}
