import { searchTopics } from './api.js';
import { byId, element } from './elements.js';

const PAUSE_MS = 120;
const SHOWN = 30;
const DEFAULT_EXCHANGE = 'NSE';

/** Finds instruments as one types. `choose` gets what is chosen, also names that have not ticked yet. */
export function startSearch(choose) {
  const input = byId('search-input');
  const list = byId('search-results');
  let options = [];
  let active = 0;
  let timer;
  let question = 0;

  const close = () => {
    list.hidden = true;
    input.setAttribute('aria-expanded', 'false');
    input.removeAttribute('aria-activedescendant');
  };

  const activate = (index) => {
    active = index;
    options.forEach(({ row }, at) => row.setAttribute('aria-selected', String(at === index)));
    const row = options[index]?.row;
    if (row === undefined) return input.removeAttribute('aria-activedescendant');
    input.setAttribute('aria-activedescendant', row.id);
    row.scrollIntoView({ block: 'nearest' });
  };

  const take = ({ exchange, symbol }) => {
    input.value = '';
    close();
    choose({ exchange, symbol });
  };

  const show = (names, note) => {
    options = names.map((name, index) => {
      const exchange = name.isNew ? `${name.exchange} · subscribe anyway` : name.exchange;
      const row = element(
        'li',
        { id: `result-${index}`, role: 'option', 'aria-selected': 'false' },
        element('b', { text: name.symbol }),
        element('span', { className: 'muted', text: exchange }),
      );
      // The pointer must not take the focus away from the input before the click arrives.
      row.addEventListener('pointerdown', (event) => event.preventDefault());
      row.addEventListener('click', () => take(name));
      return { row, name };
    });
    list.replaceChildren(...options.map(({ row }) => row));
    if (note !== undefined) list.append(element('li', { className: 'note', text: note, role: 'presentation' }));
    list.hidden = list.children.length === 0;
    input.setAttribute('aria-expanded', String(!list.hidden));
    activate(0);
  };

  const find = async () => {
    const mine = ++question;
    const query = input.value.trim();
    try {
      const { topics, total } = await searchTopics(query, SHOWN);
      if (mine !== question || document.activeElement !== input) return;
      const typed = typedName(query);
      const isKnown = topics.some(({ exchange, symbol }) => exchange === typed?.exchange && symbol === typed?.symbol);
      const added = typed === undefined || isKnown ? [] : [{ ...typed, isNew: true }];
      show([...topics, ...added], total > SHOWN ? `${total - SHOWN} more: type on to find them` : undefined);
    } catch {
      if (mine === question) close();
    }
  };

  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(find, PAUSE_MS);
  });
  input.addEventListener('focus', find);
  input.addEventListener('blur', () => {
    question++;
    close();
  });
  input.addEventListener('keydown', async (event) => {
    if (event.key === 'Escape') {
      input.blur();
      return;
    }
    if (event.key === 'Enter') {
      event.preventDefault();
      clearTimeout(timer);
      if (list.hidden || input.value !== '') await find();
      if (options[active] !== undefined && !list.hidden) take(options[active].name);
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || options.length === 0) return;
    event.preventDefault();
    activate((active + step + options.length) % options.length);
  });
  document.addEventListener('keydown', (event) => {
    const isTyping = /^(INPUT|TEXTAREA)$/.test(document.activeElement?.tagName ?? '');
    if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    input.focus();
  });
}

/** `NFO:NIFTY…` or a symbol of the default exchange; undefined where nothing is typed. */
function typedName(query) {
  if (query === '') return undefined;
  const [, exchange = DEFAULT_EXCHANGE, symbol] = /^(?:([A-Za-z_]+):)?(.+)$/.exec(query) ?? [];
  return symbol && { exchange: exchange.toUpperCase(), symbol: symbol.trim().toUpperCase() };
}
