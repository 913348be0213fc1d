import { expect, test } from 'vitest';
import { parsePythonJson } from '../../src/feeds/python-json.ts';

test('plain JSON is parsed as it is', () => {
  expect(parsePythonJson('{"ltp":1.5,"symbol":"NaN","depth":[null]}')).toEqual({
    ltp: 1.5,
    symbol: 'NaN',
    depth: [null],
  });
});

test('bare numbers that are not finite become text, and text with their names is left alone', () => {
  expect(parsePythonJson(String.raw`{"a":NaN,"b":-Infinity,"c":[Infinity],"NaN":"a \"NaN\" b"}`)).toEqual({
    a: 'NaN',
    b: '-Infinity',
    c: ['Infinity'],
    NaN: 'a "NaN" b',
  });
});

test.each(['', '{', '{"a":NaN', 'NaNs', '{a:1}'])('%j is still refused', (text) => {
  expect(() => parsePythonJson(text)).toThrow(SyntaxError);
});
