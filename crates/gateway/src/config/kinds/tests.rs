use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::LogFormat;

fn untyped(text: &str) -> Input {
    Input::Untyped(text.to_owned())
}

fn typed(text: &str) -> Input {
    Input::Text(text.to_owned())
}

#[test]
fn counts_are_whole_numbers_in_their_range() {
    let kind = count::<u32>(1, 10);
    assert_eq!(kind.read(&Input::Integer(10)), Ok(10));
    assert_eq!(kind.read(&untyped(" 7 ")), Ok(7));
    for input in [
        Input::Integer(0),
        Input::Integer(11),
        typed("7"),
        untyped("7.0"),
        Input::Float(7.0),
        Input::Switch(true),
    ] {
        assert_eq!(kind.read(&input), Err(NotAllowed), "{input:?}");
    }
    assert_eq!(count::<u32>(0, i64::MAX).read(&Input::Integer(1 << 40)), Err(NotAllowed));
}

#[test]
fn sizes_are_bytes_or_have_a_binary_unit() {
    let kind = size("1KiB", "1GiB");
    assert_eq!(kind.read(&Input::Integer(2048)), Ok(2048));
    assert_eq!(kind.read(&typed("64KiB")), Ok(65536));
    assert_eq!(kind.read(&untyped("1 MiB")), Ok(1 << 20));
    for text in [
        "",
        "KiB",
        "64KB",
        "64k",
        "-1KiB",
        "1.5MiB",
        "1023",
        "1025MiB",
        "99999999999999999999",
        "18446744073709551615GiB",
    ] {
        assert_eq!(kind.read(&typed(text)), Err(NotAllowed), "{text}");
    }
    assert_eq!(kind.read(&Input::Integer(-1)), Err(NotAllowed));
}

#[test]
fn times_have_a_unit_and_a_range() {
    let kind = time("100ms", "24h");
    for (text, time) in
        [("10s", 10_000), ("250ms", 250), ("5min", 300_000), ("30m", 1_800_000), ("1h 30m", 5_400_000)]
    {
        assert_eq!(kind.read(&typed(text)), Ok(Duration::from_millis(time)), "{text}");
    }
    for text in ["", "10", "10 parsecs", "99ms", "25h", "-1s", "99999999999999999999s"] {
        assert_eq!(kind.read(&typed(text)), Err(NotAllowed), "{text}");
    }
    assert_eq!(kind.read(&Input::Integer(10)), Err(NotAllowed));
}

#[test]
fn none_is_written_as_its_value() {
    let number = or_none("0", count::<usize>(1, 9));
    assert_eq!(number.read(&Input::Integer(0)), Ok(None));
    assert_eq!(number.read(&untyped("0")), Ok(None));
    assert_eq!(number.read(&Input::Integer(5)), Ok(Some(5)));
    assert_eq!(number.read(&Input::Integer(10)), Err(NotAllowed));
    assert_eq!(or_none("", path()).read(&typed("")), Ok(None));
    assert_eq!(or_none("", path()).read(&typed("a/b")), Ok(Some(PathBuf::from("a/b"))));
}

#[test]
fn a_choice_takes_exactly_its_names() {
    assert_eq!(choice::<LogFormat>().read(&typed("json")), Ok(LogFormat::Json));
    assert_eq!(choice::<LogFormat>().read(&typed("JSON")), Err(NotAllowed));
    assert_eq!(choice::<LogFormat>().allowed(), r#""auto", "pretty" or "json""#);
}

#[test]
fn addresses_are_one_or_a_list_and_never_none() {
    let kind = addresses();
    let both = vec!["127.0.0.1:6001".parse().unwrap(), "[::1]:6001".parse().unwrap()];
    assert_eq!(kind.read(&untyped("127.0.0.1:6001, [::1]:6001")), Ok(both.clone()));
    assert_eq!(kind.read(&Input::List(vec![typed("127.0.0.1:6001"), typed("[::1]:6001")])), Ok(both));
    for input in
        [Input::List(vec![]), untyped("[]"), typed("localhost:6001"), typed("6001"), typed("127.0.0.1:99999")]
    {
        assert_eq!(kind.read(&input), Err(NotAllowed), "{input:?}");
    }
}

#[test]
fn an_address_alone_is_a_network() {
    let kind = networks();
    let both = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    assert_eq!(kind.read(&untyped("10.0.0.0/8,::1")), Ok(both));
    assert_eq!(kind.read(&untyped("[]")), Ok(vec![]));
    for text in ["10.0.0.0/33", "example.com", "10.0.0"] {
        assert_eq!(kind.read(&untyped(text)), Err(NotAllowed), "{text}");
    }
    assert_eq!(kind.read(&Input::List(vec![Input::Integer(10)])), Err(NotAllowed));
}

#[test]
fn headers_are_a_table_of_texts() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(headers().read(&untyped("A=1, B=x=y")), Ok(vec![pair("A", "1"), pair("B", "x=y")]));
    assert_eq!(headers().read(&Input::Table(vec![("A".into(), typed("1"))])), Ok(vec![pair("A", "1")]));
    assert_eq!(headers().read(&Input::Table(vec![("A".into(), Input::Integer(1))])), Err(NotAllowed));
    assert_eq!(headers().toml("A=1,B=2"), r#"{ "A" = "1", "B" = "2" }"#);
}

#[test]
fn switches_and_ratios_take_their_own_type() {
    assert_eq!(switch().read(&Input::Switch(true)), Ok(true));
    assert_eq!(switch().read(&untyped("false")), Ok(false));
    assert_eq!(switch().read(&untyped("yes")), Err(NotAllowed));
    assert_eq!(switch().read(&typed("true")), Err(NotAllowed));
    assert_eq!(ratio().read(&Input::Integer(1)), Ok(1.0));
    assert_eq!(ratio().read(&untyped("0.25")), Ok(0.25));
    for text in ["1.1", "-0.1", "NaN", "inf"] {
        assert_eq!(ratio().read(&untyped(text)), Err(NotAllowed), "{text}");
    }
}

#[test]
fn a_path_with_a_nul_is_refused() {
    assert_eq!(path().read(&typed("a\0b")), Err(NotAllowed));
}

proptest! {
    #[test]
    fn any_text_is_survived(text in ".{0,40}|[0-9]{1,25}[A-Za-z]{0,4}|[0-9.:/, \\[\\]]{0,40}") {
        for input in [untyped(&text), typed(&text), Input::List(vec![typed(&text)])] {
            let _ = count::<u64>(0, 9).read(&input);
            let _ = size("0", "1GiB").read(&input);
            let _ = time("0s", "1h").read(&input);
            let _ = ratio().read(&input);
            let _ = addresses().read(&input);
            let _ = networks().read(&input);
            let _ = headers().read(&input);
            let _ = texts("").read(&input);
        }
    }
}
