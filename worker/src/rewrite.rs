//! The runtime's own HTMLRewriter, bound by hand: it streams, and costs no Wasm. It must never
//! throw into the stream: a patch that cannot be made is left out, and the page goes on.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Object, Reflect};
use selvedge::decide::Decision;
use wasm_bindgen::prelude::*;
use worker::web_sys;

use crate::html;

#[wasm_bindgen]
extern "C" {
    type HTMLRewriter;

    #[wasm_bindgen(constructor, catch)]
    fn new() -> Result<HTMLRewriter, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn on(this: &HTMLRewriter, selector: &str, handlers: &Object) -> Result<HTMLRewriter, JsValue>;

    #[wasm_bindgen(method, catch, js_name = onDocument)]
    fn on_document(this: &HTMLRewriter, handlers: &Object) -> Result<HTMLRewriter, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn transform(
        this: &HTMLRewriter,
        response: &web_sys::Response,
    ) -> Result<web_sys::Response, JsValue>;

    /// An element, or the end of the document: both take `append`.
    type Node;

    #[wasm_bindgen(method, catch, js_name = getAttribute)]
    fn attribute(this: &Node, name: &str) -> Result<Option<String>, JsValue>;

    #[wasm_bindgen(method, catch, js_name = setAttribute)]
    fn set_attribute(this: &Node, name: &str, value: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch, js_name = setInnerContent)]
    fn set_inner(this: &Node, content: &str, options: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn append(this: &Node, content: &str, options: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn prepend(this: &Node, content: &str, options: &JsValue) -> Result<JsValue, JsValue>;
}

/// What one page gets, computed once before its first byte.
pub struct Patches {
    /// Decisions of the page's placements.
    pub decisions: Vec<Decision>,
    /// What goes to the end of the head.
    pub entry: String,
}

/// A response whose body is rewritten while it streams.
pub fn page(response: &web_sys::Response, patches: Patches) -> Result<web_sys::Response, JsValue> {
    let entry: Rc<str> = patches.entry.into();
    let entered = Rc::new(Cell::new(false));
    let decisions: Rc<[Decision]> = patches.decisions.into();
    // The head's tags may be left out in HTML: then the body, and at last the document's end.
    let enter = |put: fn(&Node, &str, &JsValue) -> Result<JsValue, JsValue>| {
        let (entry, entered) = (Rc::clone(&entry), Rc::clone(&entered));
        move |node: Node| {
            if !entered.replace(true) && put(&node, &entry, &as_html()).is_err() {
                entered.set(false);
            }
        }
    };
    HTMLRewriter::new()?
        .on("head", &handler("element", enter(Node::append))?)?
        .on("body", &handler("element", enter(Node::prepend))?)?
        .on("[data-selvedge]", &handler("element", move |node: Node| fill(&node, &decisions))?)?
        .on_document(&handler("end", enter(Node::append))?)?
        .transform(response)
}

/// `{[name]: run}`. JavaScript's garbage collector frees the closure with the page's rewriter.
fn handler(name: &str, run: impl FnMut(Node) + 'static) -> Result<Object, JsValue> {
    let run: Box<dyn FnMut(Node)> = Box::new(run);
    let handlers = Object::new();
    Reflect::set(&handlers, &name.into(), &Closure::wrap(run).into_js_value())?;
    Ok(handlers)
}

fn as_html() -> JsValue {
    let options = Object::new();
    if Reflect::set(&options, &"html".into(), &JsValue::TRUE).is_err() {
        worker::console_error!("an option cannot be set");
    }
    options.into()
}

fn fill(node: &Node, decisions: &[Decision]) {
    let Ok(Some(name)) = node.attribute("data-selvedge") else { return };
    let Some(decision) = decisions.iter().find(|decision| decision.placement == name) else {
        return;
    };
    let Some(offer) = &decision.offer else { return };
    let Some(inner) = html::offer(decision) else { return };
    if put(node, decision, offer, &inner).is_err() {
        worker::console_warn!("a placement was left as it is");
    }
}

/// The runtime escapes what goes into attributes.
fn put(node: &Node, decision: &Decision, offer: &str, inner: &str) -> Result<(), JsValue> {
    node.set_inner(inner, &as_html())?;
    node.set_attribute("data-selvedge-offer", offer)?;
    node.set_attribute("data-selvedge-decision", &decision.decision)?;
    if let Some(variant) = &decision.variant {
        node.set_attribute("data-selvedge-variant", variant)?;
    }
    Ok(())
}
