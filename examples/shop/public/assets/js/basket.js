//! The basket. It lives in the tab (`sessionStorage`) and begins with the visitor's own act; the
//! server never sees it.

import { announce, track } from "./edge.js";

const KEY = "shop.basket";
const QUANTITY_MAX = 9;
const CURRENCY = "USD";

function readLines() {
  try {
    const lines = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return Array.isArray(lines) ? lines : [];
  } catch {
    return [];
  }
}

function writeLines(lines) {
  if (lines.length === 0) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, JSON.stringify(lines));
  showBadge();
}

function totalOf(lines) {
  return lines.reduce((sum, { price, quantity }) => sum + price * quantity, 0);
}

function productsOf(lines) {
  return lines.map(({ id, name, price, quantity }) => ({ product_id: id, name, price, quantity }));
}

export function showBadge() {
  const count = readLines().reduce((sum, { quantity }) => sum + quantity, 0);
  document.getElementById("basket-count-number").textContent = String(count);
  document.getElementById("basket-count").dataset.count = String(count);
}

function productOfPage() {
  const { productId, productName, category, price, slug } = document.body.dataset;
  return { id: productId, name: productName, category, price: Number(price), slug };
}

export function viewProduct() {
  const { id, name, category, price } = productOfPage();
  track("Product Viewed", { product_id: id, name, category, price, currency: CURRENCY });
}

export function startProduct() {
  const product = productOfPage();
  const form = document.getElementById("add-form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const quantity = Number(form.elements.quantity.value);
    const lines = readLines();
    const line = lines.find(({ id }) => id === product.id);
    if (line) line.quantity = Math.min(line.quantity + quantity, QUANTITY_MAX);
    else lines.push({ ...product, quantity });
    writeLines(lines);
    document.getElementById("added").hidden = false;
    announce(`${product.name} is in your basket.`);
    const { id, name, category, price } = product;
    track("Product Added", {
      product_id: id,
      name,
      category,
      price,
      quantity,
      value: totalOf(lines),
      currency: CURRENCY,
    });
  });
}

export function startBasket() {
  showLines();
  const lines = readLines();
  track("Cart Viewed", { value: totalOf(lines), currency: CURRENCY, products: productsOf(lines) });
  document.getElementById("place-order").addEventListener("click", order);
}

function showLines() {
  const lines = readLines();
  document.getElementById("basket-empty").hidden = lines.length > 0;
  document.getElementById("basket-full").hidden = lines.length === 0;
  document.getElementById("basket-total").textContent = `$${totalOf(lines)}`;
  document.getElementById("basket-lines").replaceChildren(...lines.map(lineItem));
}

function lineItem(line) {
  const item = document.createElement("li");
  item.className = "card line";
  const link = document.createElement("a");
  link.href = `/products/${line.slug}/`;
  link.textContent = line.name;
  const amount = document.createElement("span");
  amount.className = "muted";
  amount.textContent = `${line.quantity} × $${line.price}`;
  const sum = document.createElement("strong");
  sum.textContent = `$${line.quantity * line.price}`;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "link";
  button.dataset.remove = line.id;
  button.textContent = "Remove";
  button.setAttribute("aria-label", `Remove ${line.name}`);
  button.addEventListener("click", () => remove(line));
  item.append(link, amount, sum, button);
  return item;
}

function remove(line) {
  const lines = readLines().filter(({ id }) => id !== line.id);
  writeLines(lines);
  showLines();
  announce(`${line.name} is out of your basket.`);
  document.getElementById("main").focus({ preventScroll: true });
  track("Product Removed", {
    product_id: line.id,
    name: line.name,
    price: line.price,
    quantity: line.quantity,
    value: totalOf(lines),
    currency: CURRENCY,
  });
}

function order() {
  const lines = readLines();
  if (lines.length === 0) return;
  const orderId = `W-${crypto.randomUUID().slice(0, 8).toUpperCase()}`;
  track("Order Completed", {
    order_id: orderId,
    total: totalOf(lines),
    currency: CURRENCY,
    products: productsOf(lines),
    units: lines.reduce((sum, { quantity }) => sum + quantity, 0),
  });
  writeLines([]);
  showLines();
  const done = document.getElementById("order-done");
  done.textContent = `Thank you. Order ${orderId} is placed.`;
  done.hidden = false;
  document.getElementById("basket-empty").hidden = true;
  done.focus();
}
