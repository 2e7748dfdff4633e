// An answer as it came, from the recorded times. What was recorded is only ever text here: nothing of it runs.
const STEP_KEYS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };
const players = new WeakMap();

const seconds = (us) => us < 1e6 ? `${Math.round(us / 1000)} ms` : `${(us / 1e6).toFixed(2)} s`;

class Player {
  constructor(element) {
    this.element = element;
    this.button = element.querySelector('.play');
    this.scrub = element.querySelector('.scrub');
    this.speed = element.querySelector('.speed');
    this.clock = element.querySelector('output');
    this.box = element.querySelector('.played');
    this.at = 0;
    this.shown = 0;
    this.parts = [];
  }

  // The answer is fetched when it is first asked for: reading a long one step by step takes a moment.
  load() {
    this.loading ??= this.fetch();
    return this.loading;
  }

  async fetch() {
    this.element.setAttribute('aria-busy', 'true');
    try {
      const response = await fetch(this.element.dataset.playback);
      if (!response.ok) throw new Error(String(response.status));
      this.data = await response.json();
    } catch {
      this.loading = undefined;
      this.clock.textContent = '…';
      return;
    } finally {
      this.element.removeAttribute('aria-busy');
    }
    this.scrub.max = this.data.duration_us;
    this.box.hidden = false;
    this.element.querySelector('.grouped').hidden = !this.data.grouped;
    this.element.querySelector('.cut').hidden = !this.data.cut;
  }

  async toggle() {
    await this.load();
    if (!this.data) return;
    if (this.playing) return this.pause();
    if (this.at >= this.data.duration_us) this.seek(0);
    this.playing = true;
    this.label();
    let before = performance.now();
    const frame = (now) => {
      if (!this.playing || !this.element.isConnected) return;
      const at = this.at + (now - before) * 1000 * Number(this.speed.value);
      before = now;
      this.seek(at);
      if (this.at >= this.data.duration_us) this.pause();
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  pause() {
    this.playing = false;
    this.label();
  }

  label() {
    const { play, pause } = this.element.dataset;
    this.button.firstElementChild.textContent = this.playing ? '❚❚' : '▶';
    this.button.lastElementChild.textContent = this.playing ? pause : play;
  }

  // To the chunk before or behind this moment.
  async step(by) {
    await this.load();
    if (!this.data) return;
    this.pause();
    const chunks = this.data.chunks_us;
    const to = by > 0 ? chunks.find((at) => at > this.at) : chunks.findLast((at) => at < this.at);
    this.seek(to ?? (by > 0 ? this.data.duration_us : 0));
  }

  seek(at) {
    this.at = Math.min(Math.max(at, 0), this.data.duration_us);
    this.scrub.value = this.at;
    const passed = count(this.data.chunks_us, this.at, (chunk) => chunk);
    const where = `${seconds(this.at)} / ${seconds(this.data.duration_us)}`;
    this.clock.textContent = `${where} · ${passed}/${this.data.chunks_us.length}`;
    this.scrub.setAttribute('aria-valuetext', where);
    this.point();
    this.render(count(this.data.steps, this.at, (step) => step.at_us));
  }

  point() {
    const x = String(this.at / Math.max(1, this.data.duration_us) * 1000);
    for (const picture of this.element.closest('#tab').querySelectorAll('.tl')) {
      let line = picture.querySelector('.now');
      if (!line) {
        line = document.createElementNS('http://www.w3.org/2000/svg', 'line');
        line.setAttribute('class', 'now');
        line.setAttribute('y1', '0');
        line.setAttribute('y2', '44');
        picture.append(line);
      }
      line.setAttribute('x1', x);
      line.setAttribute('x2', x);
    }
  }

  render(until) {
    if (until < this.shown) {
      this.box.replaceChildren();
      this.parts = [];
      this.shown = 0;
    }
    const following = this.box.scrollTop + this.box.clientHeight >= this.box.scrollHeight - 24;
    for (; this.shown < until; this.shown += 1) {
      const { part, kind, text, replaces } = this.data.steps[this.shown];
      const place = this.parts[part] ??= this.add(kind);
      if (replaces) place.textContent = text;
      else place.append(text);
    }
    if (following) this.box.scrollTop = this.box.scrollHeight;
  }

  add(kind) {
    const place = document.createElement('div');
    place.className = `words is-${kind}`;
    const label = this.element.dataset[kind];
    if (label) {
      const title = document.createElement('h3');
      title.textContent = label;
      this.box.append(title);
    }
    this.box.append(place);
    return place;
  }
}

// How many of an ordered list are not behind a moment.
function count(list, at, time) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time(list[middle]) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

function playerOf(target) {
  const element = target.closest('.player') ?? target.closest('.tl')?.closest('#tab').querySelector('.player');
  if (!element) return undefined;
  if (!players.has(element)) players.set(element, new Player(element));
  return players.get(element);
}

export function startPlayers() {
  document.addEventListener('click', async (event) => {
    const player = playerOf(event.target);
    if (!player) return;
    if (event.target.closest('.play')) return player.toggle();
    const picture = event.target.closest('.tl');
    if (!picture) return;
    await player.load();
    const { left, width } = picture.getBoundingClientRect();
    if (player.data) player.seek((event.clientX - left) / width * player.data.duration_us);
  });
  document.addEventListener('input', async (event) => {
    if (!event.target.matches('.player .scrub')) return;
    const player = playerOf(event.target);
    const share = Number(event.target.value) / Number(event.target.max);
    await player.load();
    if (player.data) player.seek(share * player.data.duration_us);
  });
  document.addEventListener('keydown', (event) => {
    if (!event.target.matches('.player .scrub') || event.ctrlKey || event.metaKey || event.altKey) return;
    const player = playerOf(event.target);
    if (event.key === ' ') player.toggle();
    else if (STEP_KEYS[event.key]) player.step(STEP_KEYS[event.key]);
    else return;
    event.preventDefault();
  });
}
