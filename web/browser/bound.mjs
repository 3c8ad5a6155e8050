/** How much one visit of the page may load over the wire. */

/** Bytes that one visit may load, compressed by brotli at its best. */
const MOST = 8e6;
export const BEST = 11;

/** What a visit weighs, and whether that is too much; only at brotli's best is it, as hosts send the smaller files. */
export function weighed(visit, bytes, quality) {
  const loads = `A visit by ${visit} loads ${bytes} bytes compressed by brotli ${quality}`;
  if (bytes <= MOST) return { tooMuch: false, sentence: `${loads}.` };
  if (quality === BEST) return { tooMuch: true, sentence: `${loads}: ${MOST} is the most. Nothing was built.` };
  return { tooMuch: false, sentence: `${loads}: more than ${MOST}, which is refused at ${BEST} alone.` };
}
