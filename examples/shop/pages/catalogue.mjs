//! What the shop sells. Prices are whole US dollars, so that totals need no rounding.

export const CURRENCY = "USD";

export const PRODUCTS = [
  {
    id: "ww-101", slug: "orchard-duvet-set", name: "Orchard duvet set", category: "Bed",
    price: 148, art: "stack", palette: "sage",
    line: "Stonewashed linen, two pillowcases included",
    text: "Woven from long European flax and washed with pumice until it feels ten years old. Cool in July, warm in January, better every spring.",
    facts: ["100 % flax linen, 170 g/m²", "Coconut buttons, hidden placket", "Wash at 40 °C, no iron needed"],
  },
  {
    id: "ww-102", slug: "moor-wool-throw", name: "Moor wool throw", category: "Living",
    price: 119, art: "throw", palette: "madder",
    line: "Lambswool in a broken twill, hand-knotted fringe",
    text: "Spun in small lots from sheep that graze on heather. Heavy enough for a winter sofa, light enough for a train seat.",
    facts: ["100 % lambswool", "130 × 190 cm", "Air it; wash by hand once a year"],
  },
  {
    id: "ww-103", slug: "weir-waffle-towels", name: "Weir waffle towels", category: "Bath",
    price: 46, art: "towel", palette: "indigo",
    line: "A pair that dries faster than you do",
    text: "A deep honeycomb weave takes up water at once and gives it back to the air. No fluff, no musty corner.",
    facts: ["Half linen, half cotton", "Two pieces, 70 × 130 cm", "Wash at 60 °C"],
  },
  {
    id: "ww-104", slug: "long-table-cloth", name: "Long table cloth", category: "Table",
    price: 92, art: "table", palette: "flax",
    line: "Undyed linen for eight, and for the stains of a good evening",
    text: "The colour of the plant itself. Hems are folded twice and mitred at the corners, so the edge hangs straight.",
    facts: ["100 % flax linen, undyed", "160 × 280 cm", "Wash at 60 °C"],
  },
  {
    id: "ww-105", slug: "hedgerow-napkins", name: "Hedgerow napkins", category: "Table",
    price: 38, art: "napkins", palette: "rose",
    line: "Six napkins, each a shade of the same hedge",
    text: "Dyed in one bath that weakens from piece to piece: the first is bramble, the last is hawthorn.",
    facts: ["100 % flax linen", "Six pieces, 45 × 45 cm", "Wash at 40 °C"],
  },
  {
    id: "ww-106", slug: "lamplight-cushion", name: "Lamplight cushion", category: "Living",
    price: 54, art: "cushion", palette: "mustard",
    line: "A woven sun for a grey sofa",
    text: "Jacquard in wool and linen, filled with feathers that can be topped up in our workshop.",
    facts: ["Wool and linen, feather filling", "50 × 50 cm", "Cover off, wash at 30 °C"],
  },
  {
    id: "ww-107", slug: "kitchen-tea-towels", name: "Kitchen tea towels", category: "Kitchen",
    price: 29, art: "teatowels", palette: "madder",
    line: "Three of them, because one is always in the wash",
    text: "Half-linen with a herringbone stripe. They polish glass on the first day and soften by the tenth.",
    facts: ["Half linen, half cotton", "Three pieces, 50 × 70 cm", "Boil them if you must"],
  },
  {
    id: "ww-108", slug: "potters-apron", name: "Potter’s apron", category: "Kitchen",
    price: 64, art: "apron", palette: "indigo",
    line: "Crossed straps, nothing to tie",
    text: "Cut wide with one deep pocket. Made for clay, and just as good against tomato sauce.",
    facts: ["Heavy linen, 280 g/m²", "One size", "Wash at 60 °C"],
  },
  {
    id: "ww-109", slug: "morning-curtains", name: "Morning curtains", category: "Living",
    price: 132, art: "curtain", palette: "flax",
    line: "They let the day in slowly",
    text: "Open-weave linen that turns hard light into soft. Hang them from the hidden loops; we hem them to your window for nothing.",
    facts: ["100 % flax linen", "Pair, 140 × 260 cm", "Hemmed free of charge"],
  },
  {
    id: "ww-110", slug: "quarry-bath-sheet", name: "Quarry bath sheet", category: "Bath",
    price: 58, art: "rolls", palette: "sage",
    line: "Big enough to forget the bathrobe",
    text: "Looped linen outside, cotton inside: it rubs a little and then it hugs.",
    facts: ["Linen and cotton terry", "100 × 180 cm", "Wash at 60 °C"],
  },
  {
    id: "ww-111", slug: "cloud-pillowcases", name: "Cloud pillowcases", category: "Bed",
    price: 44, art: "pillows", palette: "rose",
    line: "A pair, with the seam on the side you never touch",
    text: "Combed linen with an envelope back. Cold side on both sides.",
    facts: ["100 % flax linen", "Two pieces, 50 × 75 cm", "Wash at 60 °C"],
  },
  {
    id: "ww-112", slug: "winter-quilt", name: "Winter quilt", category: "Bed",
    price: 210, art: "quilt", palette: "mustard",
    line: "Stitched by hand in squares, filled with wool",
    text: "Forty-two squares, four thousand stitches, one maker who signs the corner. Repaired free for as long as it lives.",
    facts: ["Linen cover, wool filling", "150 × 200 cm", "Dry clean, or send it to us"],
  },
];

export const PLAN = { name: "Linen Plan", price: 16 };
