// The charts of the overview.
const style = getComputedStyle(document.documentElement);
const probe = document.createElement('i');
document.body.append(probe);
// Canvas knows no light-dark(): the browser is asked what a colour comes to.
function colour(name) {
  probe.style.color = style.getPropertyValue(name);
  return getComputedStyle(probe).color;
}

const number = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });
const seconds = (ms) => ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
const dollars = (usd) => `$${usd >= 1 ? usd.toFixed(2) : usd.toPrecision(2).replace(/\.?0+$/, '')}`;

// Seconds between two labels of the time axis: sums are by the minute, and finer labels would repeat themselves.
const INCREMENTS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];

function bars(gap) {
  return uPlot.paths.bars({ size: [gap, 40], align: 1 });
}

const CHARTS = {
  calls: (words) => ({
    format: (value) => number.format(value),
    series: [
      { label: words.calls, key: 'k1', fill: '--bar', paths: bars(0.8), value: (t) => t.calls },
      { label: words.failed, key: 'k2', fill: '--bad', paths: bars(0.8), value: (t) => t.calls - t.completed },
    ],
  }),
  duration: (words) => ({
    format: seconds,
    series: [
      { label: words.average, key: 'k3', stroke: '--accent', value: (t) => t.average_duration_ms },
      { label: words.p95, key: 'k4', stroke: '--faint', value: (t) => t.p95_duration_ms },
    ],
  }),
  tokens: (words) => ({
    format: (value) => number.format(value),
    series: [
      { label: words.input, key: 'k1', fill: '--bar', paths: bars(0.8), value: (t) => t.input_tokens },
      { label: words.output, key: 'k3', fill: '--accent', paths: bars(0.8), value: (t) => t.output_tokens },
    ],
  }),
  cost: (words) => ({
    format: dollars,
    series: [{ label: words.cost, key: 'k1', fill: '--bar', paths: bars(0.8), value: (t) => t.cost_micros / 1e6 }],
  }),
};

const plots = new Map();

function legend(element, spec, plot, index) {
  const caption = element.parentElement.querySelector('figcaption');
  let holder = caption.querySelector('.legend');
  if (!holder) {
    holder = document.createElement('span');
    holder.className = 'legend';
    caption.append(holder);
  }
  holder.replaceChildren(...spec.series.map((series, at) => {
    const entry = document.createElement('span');
    const mark = document.createElement('i');
    mark.className = series.key;
    const value = index == null ? undefined : plot.data[at + 1][index];
    entry.append(mark, value == null ? series.label : `${series.label} ${spec.format(value)}`);
    return entry;
  }));
}

function make(element, spec, data) {
  const grid = { stroke: colour('--line'), width: 1 };
  const axis = { stroke: colour('--faint'), font: '11px system-ui', grid, ticks: { show: false } };
  const options = {
    width: element.clientWidth,
    height: element.clientHeight,
    // Half of a label may stand right of its moment.
    padding: [10, 18, 0, 0],
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    legend: { show: false },
    scales: {
      // A bar stands to the right of its moment: the newest one needs its stretch, too.
      x: { range: (plot, min, max) => [min, max + (plot.data[0][1] - plot.data[0][0] || 0)] },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
    },
    axes: [
      // Its labels stand clear of the lowest label of the other axis.
      { ...axis, size: 32, gap: 11, incrs: INCREMENTS, grid: { show: false }, values: (_, splits, __, ___, step) => splits.map((at) => label(at, step)) },
      { ...axis, size: 46, values: (_, splits) => splits.map((value) => spec.format(value)) },
    ],
    series: [{}, ...spec.series.map((series) => ({
      label: series.label,
      stroke: series.stroke ? colour(series.stroke) : undefined,
      fill: series.fill ? colour(series.fill) : undefined,
      width: series.stroke ? 1.6 : 0,
      paths: series.paths,
      spanGaps: true,
      // A moment whose neighbours are empty has no line to be seen by.
      points: { show: Boolean(series.stroke), size: 4, fill: series.stroke ? colour(series.stroke) : undefined },
    }))],
    hooks: { setCursor: [(plot) => legend(element, spec, plot, plot.cursor.idx)] },
  };
  const plot = new uPlot(options, data, element);
  legend(element, spec, plot, null);
  return plot;
}

function label(at, step) {
  const time = new Date(at * 1000);
  const two = (value) => String(value).padStart(2, '0');
  return step >= 86400 || (time.getHours() === 0 && time.getMinutes() === 0)
    ? `${two(time.getMonth() + 1)}-${two(time.getDate())}`
    : `${two(time.getHours())}:${two(time.getMinutes())}`;
}

// Of a span that nobody picked, the empty beginning is left out: the few minutes of a new archive fill the chart.
const LEAST = 5;
function begin(points) {
  const first = points.findIndex((point) => point.totals.calls > 0);
  return first < 0 ? 0 : Math.max(0, Math.min(first - 1, points.length - LEAST));
}

async function draw() {
  const holder = document.getElementById('charts');
  // Hidden while there is nothing to draw.
  if (!holder?.offsetParent) return;
  const response = await fetch(`/api/v1/stats/trends?hours=${holder.dataset.hours}`);
  if (!response.ok) return;
  const { points: all } = await response.json();
  const points = 'fitted' in holder.dataset ? all.slice(begin(all)) : all;
  const times = points.map((point) => Date.parse(point.from) / 1000);
  for (const element of holder.querySelectorAll('.chart')) {
    const spec = CHARTS[element.dataset.chart](holder.dataset);
    const data = [times, ...spec.series.map((series) => points.map((point) => series.value(point.totals)))];
    const plot = plots.get(element);
    if (plot) plot.setData(data);
    else plots.set(element, make(element, spec, data));
  }
}

function redraw() {
  for (const plot of plots.values()) plot.destroy();
  plots.clear();
  draw();
}

new ResizeObserver(() => {
  for (const [element, plot] of plots) {
    if (element.clientWidth !== plot.width) plot.setSize({ width: element.clientWidth, height: element.clientHeight });
  }
}).observe(document.body);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
document.body.addEventListener('htmx:afterSwap', (event) => { if (event.detail.target.id === 'figures') draw(); });
draw();
