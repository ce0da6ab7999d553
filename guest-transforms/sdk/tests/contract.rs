//! The SDK carries a copy of the contract, so that it can be taken anywhere.

use std::path::Path;

#[test]
fn the_copy_of_the_contract_is_the_contract() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let original = here.join("../../wit/transform.wit");
    let Ok(original) = std::fs::read_to_string(&original) else {
        eprintln!("absent: {}; this copy of the SDK stands alone", original.display());
        return;
    };
    let copy = std::fs::read_to_string(here.join("wit/transform.wit")).unwrap();
    assert!(copy == original, "copy wit/transform.wit to guest-transforms/sdk/wit/");
}
