// The list: opening an exchange beside it, and new ones that appear by themselves.
const MOST_ROWS = 600;
const wide = matchMedia('(min-width: 1100px)');
let source;
let liveUrl;
let lastEvent;
let held = [];

const rows = () => document.getElementById('rows');
const scroller = () => wide.matches ? document.getElementById('results') : document.scrollingElement;
const allRows = () => [...document.querySelectorAll('#results .rows .row')];

// ---- Choosing and opening.

function mark(row) {
  for (const other of document.querySelectorAll('.row.sel')) other.classList.remove('sel');
  row?.classList.add('sel');
}

export function choose(step) {
  const all = allRows();
  if (all.length === 0) return;
  const at = all.findIndex((row) => row.classList.contains('sel'));
  const row = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  mark(row);
  row.querySelector('.open').focus({ preventScroll: true });
  row.scrollIntoView({ block: 'nearest' });
  if (wide.matches && isOpen()) openBeside(row);
}

// Whatever was picked stands in place of the hint.
const isOpen = () => document.querySelector('.split #detail > :not(.hint)') !== null;

export function openChosen() {
  const row = document.querySelector('.row.sel');
  if (!row) return false;
  row.querySelector('.open').click();
  return true;
}

let emptyDetail;
// Whoever opens by keyboard goes there: everything in it is next to be reached.
function openBeside(row, goThere = false) {
  mark(row);
  const detail = document.getElementById('detail');
  emptyDetail ??= detail.innerHTML;
  const tab = detail.querySelector('.tabs [aria-selected="true"]')?.dataset.tab ?? 'conversation';
  htmx.ajax('GET', `/exchanges/${row.dataset.id}?tab=${tab}`, { target: '#detail', swap: 'innerHTML' })
    .then(() => {
      detail.scrollTop = 0;
      if (goThere) detail.focus({ preventScroll: true });
    });
}

export function closeDetail() {
  const detail = document.querySelector('.split #detail');
  if (!detail || !isOpen()) return false;
  detail.innerHTML = emptyDetail;
  const row = document.querySelector('.row.sel .open');
  row?.focus({ preventScroll: true });
  return true;
}

function onClick(event) {
  if (event.target.closest('.split #detail .close')) {
    closeDetail();
    return;
  }
  const tab = event.target.closest('.tabs [role="tab"]');
  if (tab) {
    for (const other of tab.parentElement.children) other.setAttribute('aria-selected', String(other === tab));
    document.getElementById('tab')?.setAttribute('aria-labelledby', tab.id);
  }
  const open = event.target.closest('#results .row .open');
  if (open && wide.matches && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    // A click without a count of clicks came from the keyboard.
    openBeside(open.closest('.row'), event.detail === 0);
  }
}

// ---- Live.

export function toggleLive() {
  document.getElementById('live')?.click();
}

function isLiveWanted() {
  return localStorage.getItem('live') !== 'off';
}

function showLive() {
  const button = document.getElementById('live');
  button?.setAttribute('aria-pressed', String(isLiveWanted()));
}

function connect() {
  source?.close();
  source = undefined;
  held = [];
  showHeld();
  const list = rows();
  if (!list || !document.getElementById('live') || list.dataset.still || !list.dataset.live || !isLiveWanted()) return;
  if (liveUrl !== list.dataset.live) {
    liveUrl = list.dataset.live;
    lastEvent = undefined;
  }
  const url = lastEvent ? liveUrl.replace(/after=\d+/, `after=${lastEvent}`) : liveUrl;
  source = new EventSource(url);
  const button = document.getElementById('live');
  source.onopen = () => button.classList.remove('lost');
  source.onerror = () => button.classList.add('lost');
  const on = (name, act) => source.addEventListener(name, (event) => {
    lastEvent = event.lastEventId || lastEvent;
    act(JSON.parse(event.data));
  });
  on('started', (data) => arrive(data));
  on('archived', (data) => {
    arrive(data);
    renewSum();
  });
  on('ended', (data) => ended(data.id));
  on('missed', missed);
}

// The figures above the list follow it, some times a minute at most.
const SUM_EVERY_MS = 3000;
let sumTimer;
function renewSum() {
  sumTimer ??= setTimeout(() => {
    sumTimer = undefined;
    if (document.visibilityState === 'visible') htmx.trigger(document.body, 'renew-sum');
  }, SUM_EVERY_MS);
}

function missed() {
  // Nothing jumps: what was missed is fetched when the reader is at the top anyway, or asks for it.
  const list = rows();
  if (scroller().scrollTop < 8 && allRows().length < 200) {
    htmx.ajax('GET', location.pathname + location.search, { target: '#results', swap: 'innerHTML' });
  } else if (list) {
    held.push(undefined);
    showHeld();
  }
}

function parse(html) {
  const holder = document.createElement('template');
  holder.innerHTML = html;
  return holder.content.querySelector('.row');
}

function arrive(data) {
  const row = parse(data.row);
  if (!row) return;
  const there = document.getElementById(row.id);
  if (there) {
    if (there.classList.contains('sel')) row.classList.add('sel');
    const focused = there.contains(document.activeElement);
    there.replaceWith(row);
    if (focused) row.querySelector('.open').focus({ preventScroll: true });
    return;
  }
  if (scroller().scrollTop > 8) {
    held = held.filter((other) => other?.id !== row.id);
    held.push(row);
    if (held.length > MOST_ROWS) held.shift();
    showHeld();
    return;
  }
  insert(row);
}

// Ids sort by time: a row goes where its id belongs.
function insert(row) {
  const list = rows();
  if (!list) return;
  document.getElementById('nothing')?.remove();
  const list_of = list.closest('.list');
  if (list_of.hidden && document.getElementById('empty')) {
    list_of.hidden = false;
    document.getElementById('empty').remove();
  }
  row.classList.add('fresh');
  const before = [...list.children].find((other) => other.dataset.id < row.dataset.id);
  list.insertBefore(row, before ?? null);
  trim(list);
}

// A list that grows for ever would slow the page down. What goes can be loaded again: the button goes on from there.
function trim(list) {
  const button = document.querySelector('#more button');
  if (!button || list.children.length <= MOST_ROWS) return;
  while (list.children.length > MOST_ROWS) list.lastElementChild.remove();
  const from = button.getAttribute('hx-get').replace(/cursor=[^&]+/, `cursor=${list.lastElementChild.dataset.id}`);
  button.setAttribute('hx-get', from);
  htmx.process(button);
}

function ended(id) {
  held = held.filter((row) => row?.dataset.id !== id);
  const row = document.getElementById(`x-${id}`);
  // It is archived in a moment; until then it only stops counting.
  if (row) row.removeAttribute('data-running');
}

function showHeld() {
  const button = document.getElementById('newer');
  if (!button) return;
  button.hidden = held.length === 0;
  button.firstElementChild.textContent = held.includes(undefined) ? '…' : String(held.length);
}

function flush() {
  if (held.includes(undefined)) {
    scroller().scrollTop = 0;
    missed();
    return;
  }
  const waiting = held;
  held = [];
  scroller().scrollTop = 0;
  waiting.forEach(insert);
  showHeld();
}

export function elapsed(ms) {
  const seconds = Math.max(0, ms / 1000);
  return seconds < 60
    ? `${seconds.toFixed(1)} s`
    : `${Math.floor(seconds / 60)} m ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`;
}

// Running calls count up.
function count() {
  const list = rows();
  if (!list) return;
  for (const row of list.querySelectorAll('[data-running]')) {
    row.querySelector('.d').textContent = elapsed(Date.now() - skew - Number(row.dataset.running));
  }
}

// The server's clock may differ from the reader's.
let skew = 0;
function measureSkew() {
  const list = rows();
  if (list) skew = Date.now() - Number(list.dataset.now);
}

// Rows that were loaded later join the list, so that there is one order.
function adopt() {
  const arrived = document.getElementById('arrived');
  const list = rows();
  if (!arrived || !list) return;
  for (const row of arrived.querySelectorAll('.row')) {
    if (!document.getElementById(row.id) || arrived.contains(document.getElementById(row.id))) list.append(row);
  }
  arrived.querySelectorAll('.rows').forEach((empty) => empty.remove());
  arrived.removeAttribute('id');
}

export function startList() {
  document.addEventListener('click', onClick);
  if (!document.getElementById('find')) return;
  const button = document.getElementById('live');
  button?.addEventListener('click', () => {
    localStorage.setItem('live', isLiveWanted() ? 'off' : 'on');
    showLive();
    connect();
  });
  document.addEventListener('click', (event) => {
    if (event.target.closest('#newer')) flush();
  });
  document.addEventListener('scroll', () => {
    if (held.length > 0 && !held.includes(undefined) && scroller().scrollTop <= 2) flush();
  }, { capture: true, passive: true });
  document.addEventListener('htmx:afterSwap', (event) => {
    if (event.detail.target.id === 'results') {
      measureSkew();
      lastEvent = undefined;
      connect();
    }
    adopt();
  });
  addEventListener('pagehide', () => source?.close());
  addEventListener('pageshow', (event) => { if (event.persisted) connect(); });
  showLive();
  measureSkew();
  connect();
  setInterval(count, 200);
}
