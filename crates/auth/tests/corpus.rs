//! Replays the inputs that fuzzing found worth keeping.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/src/http_signature.rs"]
mod http_signature;

#[test]
fn every_input_of_the_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/http_signature");
    let mut count = 0;
    for entry in fs::read_dir(&corpus).expect("the corpus is in the repository") {
        let path = entry.expect("a readable folder").path();
        println!("{}", path.display());
        http_signature::check(&fs::read(&path).expect("a readable file"));
        count += 1;
    }
    assert!(count >= 20, "only {count} inputs in {}", corpus.display());
}
