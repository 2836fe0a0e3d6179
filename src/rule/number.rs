//! The few conversions between integers and doubles, where rounding is meant. It must never know
//! an expression.

/// The double closest to an integer: CEL compares and converts the two so.
#[allow(clippy::cast_precision_loss, reason = "rounding is what CEL asks for")]
pub(crate) fn to_double(v: i64) -> f64 {
    v as f64
}

/// The integer closest to a double, held at the ends of the range; 0 of NaN.
#[allow(clippy::cast_possible_truncation, reason = "callers look at what was cut off")]
pub(crate) fn to_int(v: f64) -> i64 {
    v as i64
}

/// The integer that a whole double stands for.
pub(crate) fn whole(v: f64) -> Option<i64> {
    let int = to_int(v);
    (to_double(int) == v && int != i64::MAX).then_some(int)
}

/// A number that orders doubles as they compare: both zeroes are one, NaN comes last.
pub(crate) fn double_key(v: f64) -> i64 {
    if v.is_nan() {
        return i64::MAX;
    }
    let bits = (v + 0.0).to_bits().cast_signed();
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_doubles() {
        let order =
            [f64::NEG_INFINITY, f64::MIN, -1.5, -f64::MIN_POSITIVE, 0.0, 1e-300, 1.0, f64::MAX];
        for pair in order.windows(2) {
            assert!(double_key(pair[0]) < double_key(pair[1]), "{pair:?}");
        }
        assert_eq!(double_key(-0.0), double_key(0.0));
        assert!(double_key(f64::INFINITY) < double_key(f64::NAN));
        assert_eq!(double_key(-f64::NAN), double_key(f64::NAN));
    }

    #[test]
    fn only_whole_doubles_are_integers() {
        for (v, int) in [
            (3.0, Some(3)),
            (-0.0, Some(0)),
            (0.5, None),
            (f64::NAN, None),
            (-9_223_372_036_854_775_808.0, Some(i64::MIN)),
            (9_223_372_036_854_775_808.0, None),
        ] {
            assert_eq!(whole(v), int, "{v}");
        }
    }
}
