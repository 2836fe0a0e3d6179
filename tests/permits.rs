//! Consent by construction: code that uses data without a permit does not build.

#[test]
fn code_without_a_permit_does_not_build() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
    cases.pass("tests/compile_pass/*.rs");
}
