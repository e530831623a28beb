
'use strict';
const MEMORY = 60;
const find = (selector) => document.querySelector(selector);
const grouped = (n) => Math.round(n).toLocaleString('en-US');
const rate = (n) => n < 9.95 ? n.toFixed(1) : grouped(n);
const ratio = (n, per) => rate(per > 0 ? n / per : 0);

function size(bytes) {
  if (bytes < 1024) return Math.round(bytes) + ' B';
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let value = bytes / 1024, unit = 0;
  while (value >= 1023.5 && unit + 1 < units.length) { value /= 1024; unit += 1; }
  return value.toFixed(value < 9.95 ? 1 : 0) + ' ' + units[unit];
}

function span(seconds) {
  const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  let left = Math.floor(seconds);
  const first = units.findIndex(([unit]) => left >= unit);
  return units.slice(first < 0 ? 3 : first).slice(0, 2).map(([unit, name]) => {
    const text = Math.floor(left / unit) + ' ' + name;
    left %= unit;
    return text;
  }).join(' ');
}

// What an element shows, the page says itself: data-counter, the counters whose sum it is; data-rise,
// those that rose by it in a second; data-per, the one that its rise is divided by; data-as, the form.
function each(which, text) {
  for (const element of document.querySelectorAll('[data-' + which + ']')) {
    const { as, per, [which]: names } = element.dataset;
    element.textContent = text(names.split(' '), as === 'size', per);
  }
}

function sum(numbers, names) {
  return names.reduce((total, name) => total + numbers[name], 0);
}

const rates = [];
let last = null;

// Each counter's increase per second since the last poll; null before there are two polls.
function risen(now) {
  const before = last;
  last = now;
  const seconds = before && (now.uptime_ms - before.uptime_ms) / 1000;
  if (!seconds || seconds < 0) return null;
  const rise = {};
  for (const name in now.counters) {
    rise[name] = Math.max(0, now.counters[name] - before.counters[name]) / seconds;
  }
  return rise;
}

let stages = {};

// The boxes and rows of the stages: how full, how many threads, and arrows as fast as their events.
function flow(now) {
  const before = stages;
  stages = {};
  for (const stage of now.stages) {
    stages[stage.name] = { ...stage, at: now.uptime_ms };
    const old = before[stage.name];
    const seconds = old ? (now.uptime_ms - old.at) / 1000 : 0;
    if (seconds <= 0) continue;
    const events = Math.max(0, stage.events - old.events), perSecond = events / seconds;
    const each = events && Math.max(0, stage.busy_us - old.busy_us) / events;
    const texts = {
      queue: grouped(stage.queue), threads: stage.threads, batch: stage.batch,
      shed: grouped(stage.shed), rate: rate(perSecond),
      each: each < 1000 ? rate(each) + 'µs' : rate(each / 1000) + 'ms',
    };
    const speed = perSecond > 0 ? Math.min(4, 1 + Math.floor(Math.log10(1 + perSecond))) : 0;
    const sheds = stage.shed > old.shed ? ' shedding' : '';
    for (const place of document.querySelectorAll('[data-stage="' + stage.name + '"]')) {
      place.setAttribute('class', 'flow' + speed + sheds);
      const bar = place.querySelector('.queue');
      if (bar) bar.setAttribute('width', filled(stage));
      for (const element of place.querySelectorAll('[data-of]')) {
        element.textContent = texts[element.dataset.of];
      }
    }
  }
}

function filled({ queue, capacity }) {
  if (!capacity || !queue) return 0;
  return Math.min(118, Math.max(2, Math.floor(118 * queue / capacity)));
}

function draw() {
  const top = 1.25 * Math.max(4, ...rates);
  find('#curve').setAttribute('points', rates.map((r, i) =>
    (120 - (rates.length - 1 - i) * 120 / (MEMORY - 1)).toFixed(1) + ',' +
    (38 - 36 * r / top).toFixed(1)).join(' '));
}

function show(now) {
  find('#uptime').textContent = span(now.uptime_ms / 1000);
  each('counter', (names, bytes) => (bytes ? size : grouped)(sum(now.counters, names)));
  for (const process of now.processes) {
    const row = find('[data-process="' + process.number + '"]');
    if (!row) continue;
    ['pid', 'state', 'restarts', 'connections_open', 'requests'].forEach((name, i) => {
      const value = process[name];
      row.children[i + 1].textContent = i < 2 ? value : grouped(value);
    });
  }
  flow(now);
  const rise = risen(now);
  if (!rise) return;
  each('rise', (names, bytes, per) => {
    const n = sum(rise, names);
    return per ? ratio(n, rise[per]) : bytes ? size(n) : rate(n);
  });
  find('[data-tile=rate] .note').textContent = 'in the last second';
  rates.push(rise.requests);
  if (rates.length > MEMORY) rates.shift();
  draw();
}

function pulse(state, text) {
  find('#pulse').className = 'pulse ' + state;
  find('#pulse').textContent = text;
}

async function poll() {
  if (document.hidden) return;
  try {
    const answer = await fetch('status.json', { cache: 'no-store' });
    if (!answer.ok) throw new Error(answer.status);
    show(await answer.json());
    pulse('live', 'live');
  } catch (error) {
    last = null;
    pulse('lost', 'no answer');
  }
}

poll();
setInterval(poll, 1000);
