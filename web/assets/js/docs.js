// Draws the API's description: to be read, or to be tried.
const root = document.getElementById('docs');
const words = root.dataset;
const interactive = words.interactive === 'true';

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'class') element.className = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// `code` in descriptions, everything else as text.
function inline(text = '') {
  return text.split(/(`[^`]+`)/).map((piece) =>
    piece.startsWith('`') && piece.length > 1 ? make('code', {}, piece.slice(1, -1)) : piece);
}

function prose(text = '') {
  return make('p', {}, ...inline(text.replace(/([^\n])\n(?!\n)/g, '$1 ')));
}

function nameOf(reference) {
  return reference.split('/').pop();
}

function type(schema = {}) {
  if (schema.$ref) {
    const name = nameOf(schema.$ref);
    return make('a', { href: `/redoc#schema-${name}` }, name);
  }
  const several = schema.oneOf ?? schema.anyOf;
  if (several) {
    const parts = several.flatMap((part, at) => at === 0 ? [type(part)] : [' | ', type(part)]);
    return make('span', {}, ...parts);
  }
  if (schema.type === 'array') return make('span', {}, type(schema.items), '[]');
  const names = [].concat(schema.type ?? 'any').join(' | ');
  return make('span', {}, schema.format ? `${names} (${schema.format})` : names);
}

function table(rows) {
  return make('table', {}, make('tbody', {}, ...rows));
}

function responses(operation) {
  return Object.entries(operation.responses ?? {}).map(([status, response]) => {
    const kinds = Object.entries(response.content ?? {}).map(([kind, content]) =>
      make('div', { class: 'type' }, `${kind} `, type(content.schema)));
    return make('tr', {}, make('td', {}, status), make('td', {}, prose(response.description), ...kinds));
  });
}

function parameters(operation, inputs) {
  return (operation.parameters ?? []).map((parameter) => {
    const about = make('td', {}, prose(parameter.description));
    if (interactive) {
      const input = make('input', { 'aria-label': parameter.name, placeholder: parameter.example ?? '' });
      inputs.push([parameter, input]);
      about.prepend(input);
    }
    const kind = make('span', { class: 'type' }, ` ${parameter.in} `, type(parameter.schema));
    return make('tr', {}, make('td', {}, parameter.name, make('br'), kind), about);
  });
}

function trial(path, inputs) {
  const output = make('pre', { hidden: '' });
  async function send() {
    let url = path;
    const query = new URLSearchParams();
    for (const [parameter, input] of inputs) {
      if (parameter.in === 'path') url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value !== '') query.set(parameter.name, input.value);
    }
    if (query.size > 0) url += `?${query}`;
    output.hidden = false;
    output.textContent = `GET ${url}\n…`;
    try {
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(), 10000);
      const response = await fetch(url, { signal: stop.signal });
      const kind = response.headers.get('content-type') ?? '';
      const shown = kind.startsWith('text/event-stream') ? await begin(response) : (await response.text()).slice(0, 100000);
      clearTimeout(timer);
      let text = shown;
      if (kind.startsWith('application/json')) {
        try { text = JSON.stringify(JSON.parse(shown), null, 2); } catch { /* It was cut: shown as it is. */ }
      }
      output.textContent = `GET ${url}\n${response.status} ${kind}\n\n${text}`;
    } catch (error) {
      output.textContent = `GET ${url}\n${error}`;
    }
  }
  return [make('p', {}, make('button', { class: 'button primary', type: 'button', onclick: send }, words.send)), output];
}

// Of a stream that never ends, what comes within three seconds.
async function begin(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  const until = Date.now() + 3000;
  while (Date.now() < until) {
    const wait = new Promise((done) => { setTimeout(() => done({ late: true }), until - Date.now()); });
    const { value, done, late } = await Promise.race([reader.read(), wait]);
    if (done || late) break;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return `${text}\n…`;
}

function operation(verb, path, described) {
  const inputs = [];
  const rows = parameters(described, inputs);
  const body = make('div', {},
    described.description ? prose(described.description) : null,
    rows.length > 0 ? make('h3', {}, words.parameters) : null,
    rows.length > 0 ? table(rows) : null,
    ...(interactive && verb === 'get' ? trial(path, inputs) : []),
    make('h3', {}, words.responses),
    table(responses(described)));
  const attributes = { class: 'op', id: described.operationId ?? path };
  if (!interactive) attributes.open = '';
  return make('details', attributes,
    make('summary', {}, make('span', { class: 'verb' }, verb.toUpperCase()), make('code', {}, path),
      make('span', { class: 'dim' }, ...inline(described.summary))),
    body);
}

function fields(schema) {
  const parts = schema.allOf ?? [schema];
  return parts.flatMap((part) => part.$ref
    ? [make('tr', {}, make('td', {}, '…'), make('td', {}, type(part)))]
    : Object.entries(part.properties ?? {}).map(([name, property]) => make('tr', {},
      make('td', {}, name, make('br'), make('span', { class: 'type' }, type(property))),
      make('td', {}, prose(property.description)))));
}

function schema(name, described) {
  const variants = described.oneOf?.flatMap((variant) => fields(variant)) ?? [];
  return make('details', { class: 'op', id: `schema-${name}` },
    make('summary', {}, make('code', {}, name), make('span', { class: 'dim' }, ...inline(described.description?.split('\n')[0]))),
    make('div', {}, table([...fields(described), ...variants])));
}

async function draw() {
  const response = await fetch('/openapi.json');
  const api = await response.json();
  document.getElementById('docs-loading').remove();
  root.append(prose(api.info.description));
  const groups = new Map((api.tags ?? []).map((tag) => [tag.name, { tag, operations: [] }]));
  for (const [path, verbs] of Object.entries(api.paths)) {
    for (const [verb, described] of Object.entries(verbs)) {
      const name = described.tags?.[0] ?? '';
      if (!groups.has(name)) groups.set(name, { tag: { name }, operations: [] });
      groups.get(name).operations.push(operation(verb, path, described));
    }
  }
  for (const { tag, operations } of groups.values()) {
    if (operations.length > 0) root.append(make('h2', {}, tag.description ?? tag.name), ...operations);
  }
  if (!interactive) {
    root.append(make('h2', {}, words.schemas));
    for (const [name, described] of Object.entries(api.components?.schemas ?? {})) root.append(schema(name, described));
  }
  const wanted = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (wanted) {
    wanted.open = true;
    wanted.scrollIntoView();
  }
}

draw().catch((error) => { document.getElementById('docs-loading').textContent = String(error); });
