// Elements are made and changed without HTML text: what comes from outside is never markup.

export function byId(id) {
  return document.getElementById(id);
}

/** Makes an element. `text`, `className` and `dataset` are set as such, all else as attributes. */
export function element(tag, { text, className, dataset, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className !== undefined) made.className = className;
  Object.assign(made.dataset, dataset);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Changes a text only if it is another: an unchanged one costs no layout. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function setClass(target, className) {
  if (target.className !== className) target.className = className;
}

/** Length of a bar, 0 to 1, for the style sheet. */
export function setShare(target, share) {
  const text = Math.max(0, Math.min(1, share || 0)).toFixed(4);
  if (target.dataset.share === text) return;
  target.dataset.share = text;
  target.style.setProperty('--share', text);
}

/** Keeps as many children as there are items, made by `make` and filled by `fill`. */
export function fillRows(parent, items, make, fill) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(make());
  items.forEach((item, index) => fill(parent.children[index], item, index));
}

/** Names and values, two by two. */
export function fillFigures(list, figures) {
  fillRows(
    list,
    figures,
    () => element('div', {}, element('dt'), element('dd')),
    (row, [name, value]) => {
      setText(row.firstElementChild, name);
      setText(row.lastElementChild, value);
    },
  );
}

const SVG = 'http://www.w3.org/2000/svg';

/** A small line of the newest values, the highest at the top. */
export class Sparkline {
  #values = [];
  #line = document.createElementNS(SVG, 'polyline');
  #area = document.createElementNS(SVG, 'polygon');
  element = document.createElementNS(SVG, 'svg');

  constructor() {
    this.element.setAttribute('class', 'sparkline');
    this.element.setAttribute('viewBox', '0 0 60 20');
    this.element.setAttribute('preserveAspectRatio', 'none');
    this.element.setAttribute('aria-hidden', 'true');
    this.element.append(this.#area, this.#line);
  }

  add(value) {
    this.#values.push(value);
    if (this.#values.length > 60) this.#values.shift();
    const most = Math.max(1, ...this.#values) * 1.1;
    const step = 60 / Math.max(1, this.#values.length - 1);
    const points = this.#values.map(
      (each, index) => `${(index * step).toFixed(2)},${(20 - (each / most) * 19).toFixed(2)}`,
    );
    this.#line.setAttribute('points', points.join(' '));
    this.#area.setAttribute('points', `0,20 ${points.join(' ')} ${((this.#values.length - 1) * step).toFixed(2)},20`);
  }
}
