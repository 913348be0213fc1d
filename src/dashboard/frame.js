// Everything is drawn here: at most once a frame, however many ticks have come since the last.
const due = new Set();
let isScheduled = false;

/** Draws with the next frame; a drawing that is due already is not drawn twice. */
export function drawSoon(draw) {
  due.add(draw);
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(drawAll);
}

function drawAll() {
  isScheduled = false;
  const now = [...due];
  due.clear();
  for (const draw of now) draw();
}
