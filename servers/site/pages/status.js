
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

// Each tile: its value and its note. c: the counters now; d: what they rose by, in a second.
const TILES = {
  rate: (c, d) => [rate(d.requests), 'in the last second'],
  connections: (c) => [grouped(c.connections_open), grouped(c.connections_accepted) + ' accepted'],
  requests: (c) => [grouped(c.requests), grouped(c.responses_2xx) + ' with success'],
  sent: (c, d) => [size(c.bytes_sent), size(d.bytes_sent) + '/s'],
  received: (c, d) => [size(c.bytes_received), size(d.bytes_received) + '/s'],
  errors: (c) => [grouped(c.responses_4xx + c.responses_5xx),
    '4xx ' + grouped(c.responses_4xx) + ' · 5xx ' + grouped(c.responses_5xx)],
  timeouts: (c) => [
    grouped(c.timeouts_head + c.timeouts_body + c.timeouts_write + c.timeouts_request),
    grouped(c.timeouts_idle) + ' idle closed'],
  turns: (c, d) => [grouped(c.loop_turns), rate(d.loop_turns) + '/s'],
  events: (c, d) => [ratio(d.loop_events, d.loop_turns), grouped(c.loop_events_turn_max) + ' at most'],
  buffers: (c) => [grouped(c.buffers_small_used + c.buffers_large_used),
    'small ' + grouped(c.buffers_small_used) + ' · large ' + grouped(c.buffers_large_used)],
  work: (c) => [grouped(c.works), grouped(c.waits) + ' waiting'],
};

const rates = [];
let last = null;

// What each counter rose by in a second since the last poll; null before there are two.
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

function draw() {
  const top = 1.25 * Math.max(4, ...rates);
  find('#curve').setAttribute('points', rates.map((r, i) =>
    (120 - (rates.length - 1 - i) * 120 / (MEMORY - 1)).toFixed(1) + ',' +
    (38 - 36 * r / top).toFixed(1)).join(' '));
}

function show(now) {
  find('#uptime').textContent = span(now.uptime_ms / 1000);
  for (const name in now.counters) {
    const cell = find('[data-counter="' + name + '"]');
    if (cell) cell.textContent = grouped(now.counters[name]);
  }
  for (const process of now.processes) {
    const row = find('[data-process="' + process.number + '"]');
    if (!row) continue;
    ['pid', 'state', 'restarts', 'connections_open', 'requests'].forEach((name, i) => {
      const value = process[name];
      row.children[i + 1].textContent = i < 2 ? value : grouped(value);
    });
  }
  const rise = risen(now);
  if (!rise) return;
  for (const name in TILES) {
    const [value, note] = TILES[name](now.counters, rise);
    find('[data-tile="' + name + '"] .value').textContent = value;
    find('[data-tile="' + name + '"] .note').textContent = note;
  }
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
