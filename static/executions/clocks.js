// Clocks run from the moments in `<time datetime data-clock="up | down | due | ago">`: a fragment never changes for the time
// alone. Both `down` and `due` count down to a moment; once it has passed, `due` says what is still waited for, and `down`
// says `data-over`, or “now”.

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
const SHOWN = { up: (seconds) => elapsed(seconds), down: left("now"), due: left("as soon as a worker is free"), ago };

const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const pad = (number) => String(number).padStart(2, "0");

export function run() {
  tick();
  setInterval(tick, 1000);
  document.addEventListener("live:applied", tick);
}

function tick() {
  const now = Date.now();
  for (const time of document.querySelectorAll("time[data-clock]")) {
    const at = Date.parse(time.dateTime);
    const text = SHOWN[time.dataset.clock](Math.round((now - at) / 1000), time.dataset.over);
    if (time.textContent !== text) time.textContent = text;
    if (!time.title) time.title = whole.format(at);
  }
}

function left(passed) {
  return (seconds, over = passed) => (seconds < 0 ? `in ${elapsed(-seconds)}` : over);
}

function elapsed(given) {
  const seconds = Math.max(given, 0);
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)}:${pad(seconds % MINUTE)}`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ${pad(Math.floor((seconds % HOUR) / MINUTE))} m`;
  return `${Math.floor(seconds / DAY)} d ${Math.floor((seconds % DAY) / HOUR)} h`;
}

function ago(seconds) {
  if (seconds < MINUTE) return "just now";
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} m ago`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ago`;
  return `${Math.floor(seconds / DAY)} d ago`;
}
