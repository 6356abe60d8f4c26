// Moments in the reader's own time: `<time datetime data-at>` says the hour, `data-at="date"` the day as well. And bars that
// run out: `<progress data-until>`.

const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "2-digit", month: "short" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

export function run() {
  localise(document);
  setInterval(drain, 1000);
}

export function localise(root) {
  for (const time of root.querySelectorAll("time[data-at]")) {
    const at = new Date(time.dateTime);
    const isToday = day.format(at) === day.format(Date.now());
    time.textContent = time.dataset.at === "date" && !isToday ? `${day.format(at)} ${hour.format(at)}` : hour.format(at);
    time.title = whole.format(at);
  }
}

export function clockTime(at) {
  const moment = new Date(at);
  return `${hour.format(moment)}.${String(moment.getMilliseconds()).padStart(3, "0")}`;
}

function drain() {
  for (const bar of document.querySelectorAll("progress[data-until]")) {
    bar.value = Math.max((Date.parse(bar.dataset.until) - Date.now()) / 1000, 0);
  }
}
