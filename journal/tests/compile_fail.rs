//! What cannot be stored does not compile, and the compiler says what to do instead.

#[test]
fn what_cannot_be_stored_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
