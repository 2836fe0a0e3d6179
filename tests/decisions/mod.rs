//! Whole decisions, thought of a second time: what a workspace declares and what is known of people
//! as plain values, a naive way to decide from them, and the same handed to the engine. The naive
//! part shares no code with the core: it looks at every offer, remembers nothing, and knows no
//! index, no slot and no image.

pub mod block;
pub mod compare;
pub mod declared;
pub mod json;
pub mod make;
pub mod naive;
pub mod people;
