//! The shop's pictures, drawn as inline SVG. Colours are classes (`fa`, `fb`, `fc`: the palette's
//! three tones; `fg`: its ground), so that dark mode and the CSP need no attribute of style.

const WIDTH = 400;
const HEIGHT = 300;

/** `<svg>` of one product; `title` is empty where the name stands beside it. */
export function drawProduct(art, palette, title = "") {
  return svg(palette, SHAPES[art](), title);
}

function svg(palette, shapes, title) {
  const label = title ? `role="img" aria-label="${title}"` : 'aria-hidden="true"';
  return (
    `<svg class="art art-${palette}" viewBox="0 0 ${WIDTH} ${HEIGHT}" ${label} focusable="false">` +
    `<rect class="fg" width="${WIDTH}" height="${HEIGHT}"/>${ground()}${shapes}</svg>`
  );
}

/** A table's edge, so that nothing floats. */
function ground() {
  return '<path class="fs" d="M0 236h400v64H0z"/>';
}

function repeat(count, draw) {
  return Array.from({ length: count }, (_, nth) => draw(nth)).join("");
}

function stitches(x1, y1, x2, y2) {
  return `<path class="st" d="M${x1} ${y1}L${x2} ${y2}"/>`;
}

function shadow(cx, cy, rx) {
  return `<ellipse class="sh" cx="${cx}" cy="${cy}" rx="${rx}" ry="9"/>`;
}

/** A folded cloth seen from the fold: round on the left, open on the right. */
function folded(x, y, width, height, tone) {
  const r = height / 2;
  return (
    `<path class="${tone}" d="M${x + r} ${y}H${x + width}v${height}H${x + r}a${r} ${r} 0 0 1 0-${height}z"/>` +
    `<path class="ln" d="M${x + r} ${y + r}H${x + width}"/>` +
    stitches(x + r, y + height - 4, x + width - 6, y + height - 4)
  );
}

const SHAPES = {
  stack() {
    const tones = ["fa", "fb", "fa", "fc"];
    const layers = repeat(4, (nth) =>
      folded(92 + nth * 5, 206 - nth * 37, 216 - nth * 10, 35, tones[nth]),
    );
    return `${shadow(200, 246, 128)}${layers}<circle class="fb" cx="268" cy="112" r="5"/><circle class="fb" cx="250" cy="112" r="5"/>`;
  },
  throw() {
    const fringe = repeat(
      19,
      (nth) => `<path class="fr" d="M${104 + nth * 10.6} 226l${nth % 2 ? 3 : -3} 22"/>`,
    );
    const stripes = repeat(4, (nth) => `<path class="fb" d="M98 ${92 + nth * 34}h204v12H98z"/>`);
    return (
      `${shadow(200, 250, 126)}<path class="fc" d="M84 84h232a10 10 0 0 1 0 20H84a10 10 0 0 1 0-20z"/>` +
      `<path class="fa" d="M98 70q102-16 204 0v156H98z"/>${stripes}${fringe}` +
      `<path class="ln" d="M150 66v160M232 63v163"/>`
    );
  },
  towel() {
    const rows = repeat(8, (row) =>
      repeat(
        6,
        (column) =>
          `<rect class="wf" x="${126 + column * 17}" y="${84 + row * 19}" width="11" height="12" rx="2"/>`,
      ),
    );
    return (
      `<path class="rail" d="M70 60h260"/>` +
      `<path class="fb" d="M222 56h70v150h-70z"/><path class="fa" d="M118 56h112v188H118z"/>${rows}` +
      `<path class="fc" d="M118 56h112v14H118zM222 56h70v14h-70z"/>` +
      stitches(122, 238, 226, 238) +
      stitches(234, 200, 288, 200)
    );
  },
  table() {
    const folds = repeat(7, (nth) => `<path class="ln" d="M${106 + nth * 31} 152q-4 36 2 78"/>`);
    return (
      `${shadow(200, 262, 150)}<path class="fd" d="M88 220h10v44H88zM302 220h10v44h-10z"/>` +
      `<path class="fb" d="M96 116h208l28 38H68z"/><path class="fa" d="M68 154h264l-8 78q-24-10-44 0-22 10-44 0-20-10-42 0-22 10-44 0-20-10-40 0-20 8-34 0z"/>` +
      `${folds}${stitches(72, 162, 328, 162)}` +
      `<path class="fc" d="M176 132h48l-6-30h-36z"/><path class="leaf" d="M200 104q-22-26-6-48 16 22 6 48zM204 104q6-30 30-36-4 28-30 36zM196 104q-8-26-32-28 6 24 32 28z"/>`
    );
  },
  napkins() {
    const tones = ["fc", "fa", "fb", "fa", "fc", "fb"];
    const fan = repeat(6, (nth) => {
      const turn = -50 + nth * 20;
      return `<g transform="rotate(${turn} 200 236)"><path class="${tones[nth]}" d="M200 236L170 84q30-20 60 0z"/><path class="ln" d="M200 232V82"/></g>`;
    });
    return `${shadow(200, 250, 96)}${fan}<rect class="fd" x="176" y="206" width="48" height="22" rx="11"/>`;
  },
  cushion() {
    const rays = repeat(
      16,
      (nth) =>
        `<path class="fb" d="M197 70h6l3 34h-12z" transform="rotate(${nth * 22.5} 200 152)"/>`,
    );
    return (
      `${shadow(200, 248, 108)}<path class="fa" d="M104 58q96 18 192 0 18 96 0 188-96-16-192 0-18-92 0-188z"/>` +
      `${rays}<circle class="fc" cx="200" cy="152" r="40"/><circle class="st" cx="200" cy="152" r="32"/>`
    );
  },
  teatowels() {
    const pieces = repeat(3, (nth) => {
      const x = 84 + nth * 82;
      const tone = ["fa", "fg2", "fb"][nth];
      const stripe = ["fb", "fa", "fc"][nth];
      const lines = repeat(
        3,
        (line) => `<path class="${stripe}" d="M${x} ${150 + line * 22}h68v8h-68z"/>`,
      );
      return (
        `<path class="rail2" d="M${x + 34} 52v16"/><path class="${tone}" d="M${x} 66h68v${150 + (nth % 2) * 16}h-68z"/>` +
        `${lines}<path class="ln" d="M${x + 20} 66v146M${x + 48} 66v146"/>`
      );
    });
    return `<path class="rail" d="M56 52h288"/>${pieces}`;
  },
  apron() {
    return (
      `<path class="rail" d="M150 40h100"/><path class="strap" d="M172 84Q160 40 200 42t28 42M150 128Q112 96 150 46M250 128q38-32 0-82"/>` +
      `<path class="fa" d="M166 82h68q2 36 36 48v112q-70 14-140 0V130q34-12 36-48z"/>` +
      `<path class="fb" d="M158 162h84v44q-42 10-84 0z"/>${stitches(164, 170, 236, 170)}` +
      `<path class="ln" d="M200 162v46"/>${stitches(170, 90, 230, 90)}`
    );
  },
  curtain() {
    const panes = `<rect class="sky" x="98" y="58" width="204" height="166"/><path class="pane" d="M200 58v166M98 138h204"/><circle class="fb" cx="246" cy="100" r="20"/>`;
    const side = (x, flip) =>
      `<g transform="${flip ? `translate(${2 * x} 0) scale(-1 1)` : ""}"><path class="fa veil" d="M${x} 48h96q-6 96-34 128 10 30 6 68H${x}z"/>` +
      `${repeat(4, (nth) => `<path class="ln" d="M${x + 16 + nth * 20} 50q-2 110-${14 + nth * 5} 192"/>`)}` +
      `<path class="fc" d="M${x} 168h66v12H${x}z"/></g>`;
    return `${panes}<path class="rail" d="M60 46h280"/>${side(72, false)}${side(328, true)}`;
  },
  rolls() {
    const roll = (x, y, tone) =>
      `<circle class="${tone}" cx="${x}" cy="${y}" r="42"/><path class="sp" d="M${x} ${y}m0-4a8 8 0 1 1-8 8 18 18 0 1 1 18 18 28 28 0 1 1 20-48"/>`;
    return `${shadow(200, 250, 140)}${roll(116, 204, "fa")}${roll(200, 204, "fb")}${roll(284, 204, "fa")}${roll(158, 132, "fc")}${roll(242, 132, "fa")}${roll(200, 62, "fb")}`;
  },
  pillows() {
    const pillow = (tone, x, y, turn) =>
      `<g transform="rotate(${turn} ${x + 100} ${y + 60})"><path class="${tone}" d="M${x} ${y}q100 22 200 0 16 58 0 120-100-20-200 0-16-62 0-120z"/>` +
      `<path class="ln" d="M${x + 168} ${y + 7}q10 54 0 108"/>${stitches(x + 176, y + 8, x + 176, y + 112)}</g>`;
    return `${shadow(206, 250, 124)}${pillow("fb", 112, 66, -9)}${pillow("fa", 92, 118, 4)}`;
  },
  quilt() {
    const tones = ["fa", "fb", "fg2", "fc"];
    const squares = repeat(6, (row) =>
      repeat(7, (column) => {
        const tone = tones[(row * 3 + column * 5 + row * column) % 4];
        return `<rect class="${tone}" x="${81 + column * 34}" y="${42 + row * 34}" width="34" height="34"/>`;
      }),
    );
    const seams =
      repeat(5, (nth) => stitches(81, 76 + nth * 34, 319, 76 + nth * 34)) +
      repeat(6, (nth) => stitches(115 + nth * 34, 42, 115 + nth * 34, 246));
    return `${shadow(200, 252, 130)}${squares}${seams}<path class="fold" d="M319 246V186l-62 60z"/>`;
  },
};

/** The picture beside the hero: a linen shelf under an arch. */
export function drawHero() {
  const shelf = [
    ["fa", 0],
    ["fc", 1],
    ["fb", 2],
    ["fa", 3],
    ["fd", 4],
    ["fb", 5],
  ];
  const stack = shelf
    .map(([tone, nth]) =>
      folded(150 + (nth % 2) * 7, 318 - nth * 33, 216 - (nth % 3) * 12, 31, tone),
    )
    .join("");
  const threads = repeat(
    17,
    (nth) => `<path class="th" d="M${416 + nth * 5} 96V${250 + (nth % 3) * 8}"/>`,
  );
  return (
    `<svg class="art art-flax hero-art" viewBox="0 0 560 420" aria-hidden="true" focusable="false" preserveAspectRatio="xMidYMid slice">` +
    `<rect class="fg" width="560" height="420"/>` +
    `<path class="arch" d="M96 420V214a184 184 0 0 1 368 0v206z"/>` +
    `<circle class="sun" cx="352" cy="150" r="46"/>` +
    `<path class="fs" d="M0 352h560v68H0z"/>` +
    `<ellipse class="sh" cx="262" cy="356" rx="136" ry="10"/>${stack}` +
    `<path class="rail" d="M404 96h108"/><path class="fa" d="M412 96h92v150h-92z"/>` +
    `<path class="fc" d="M412 196h92v16h-92zM412 224h92v8h-92z"/>${threads}` +
    `<path class="fd" d="M72 352l8-74h44l8 74z"/><path class="leaf" d="M102 280q-40-44-16-92 32 40 16 92zM106 280q0-52 40-72 4 48-40 72zM98 280q-8-40-46-46 6 38 46 46z"/>` +
    `</svg>`
  );
}

/** A sprig of flax in bloom: the brand's mark. */
export function drawMark() {
  return (
    '<svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">' +
    '<path d="M5 9h22M5 16h22M5 23h22" class="mk"/><path d="M9 5v22M16 5v22M23 5v22" class="mk"/>' +
    '<path d="M2 2h28v28H2z" class="mk2"/></svg>'
  );
}
