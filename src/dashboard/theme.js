import { byId, setText } from './elements.js';

const THEMES = ['auto', 'dark', 'light'];
const NAMES = { auto: 'as the system', dark: 'dark', light: 'light' };
const STORED = 'openalgo-shm.theme';

/** Lets the reader choose between the system's theme, dark and light. Calls back whenever colours change. */
export function startTheme(onChange) {
  let theme = THEMES.find((known) => known === localStorage.getItem(STORED)) ?? 'auto';
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    const label = `Theme: ${NAMES[theme]}`;
    byId('theme-button').title = label;
    setText(byId('theme-label'), label);
    onChange();
  };
  byId('theme-button').addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    localStorage.setItem(STORED, theme);
    apply();
  });
  matchMedia('(prefers-color-scheme: light)').addEventListener('change', apply);
  apply();
}

/** A colour of the style sheet. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
