use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn the_example_of_the_specification_is_read_and_printed() {
    let parent = TraceParent::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(parent.trace_id(), 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    assert_eq!(parent.span_id(), 0xb7ad_6b71_6920_3331);
    assert!(parent.is_sampled());
    assert_eq!(parent.to_string(), EXAMPLE);
    assert_eq!(parent.to_bytes(), EXAMPLE);
}

#[test]
fn only_the_sampled_bit_of_the_flags_counts() {
    for (flags, sampled) in
        [("00", false), ("01", true), ("02", false), ("03", true), ("fe", false), ("ff", true)]
    {
        let text = format!("{}{flags}", &EXAMPLE[..53]);
        assert_eq!(TraceParent::parse(text.as_bytes()).unwrap().is_sampled(), sampled, "{flags}");
    }
}

#[test]
fn a_later_version_is_read_as_far_as_it_is_known() {
    let later = EXAMPLE.replacen("00", "01", 1);
    let expected = TraceParent::parse(EXAMPLE.as_bytes());
    assert_eq!(TraceParent::parse(later.as_bytes()), expected);
    assert_eq!(TraceParent::parse(format!("{later}-what-comes-later").as_bytes()), expected);
    assert_eq!(TraceParent::parse(format!("{later}-").as_bytes()), expected);
}

#[test]
fn what_is_not_valid_is_no_parent() {
    let later = EXAMPLE.replacen("00", "cc", 1);
    for text in [
        "".into(),
        "00".into(),
        EXAMPLE[..54].into(),
        format!("{EXAMPLE}-more"),
        format!("{EXAMPLE} "),
        format!(" {EXAMPLE}"),
        format!("{later}0"),
        format!("{later}.more"),
        EXAMPLE.replacen("00", "ff", 1),
        EXAMPLE.replacen("00", "0X", 1),
        EXAMPLE.to_uppercase(),
        EXAMPLE.replace('-', "_"),
        EXAMPLE.replace("0af7", "0aF7"),
        EXAMPLE.replace("0af7", "+af7"),
        EXAMPLE.replace("b7ad", "b7ag"),
        EXAMPLE.replace("-01", "-0."),
        "00-00000000000000000000000000000000-b7ad6b7169203331-01".into(),
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01".into(),
        "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01".into(),
        "00-0af7651916cd43dd8448eb211c80319c0b7ad6b7169203331-01".into(),
    ] {
        assert_eq!(TraceParent::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn two_headers_are_no_parent() {
    let mut headers = HeaderMap::new();
    assert_eq!(TraceParent::from_headers(&headers), None);
    headers.append(HEADER, http::HeaderValue::from_static(EXAMPLE));
    assert!(TraceParent::from_headers(&headers).is_some());
    headers.append(HEADER, http::HeaderValue::from_static(EXAMPLE));
    assert_eq!(TraceParent::from_headers(&headers), None);
}

proptest! {
    #[test]
    fn whatever_is_printed_is_read_back(trace_id: u128, span_id: u64, sampled: bool) {
        if let Some(parent) = TraceParent::new(trace_id, span_id, sampled) {
            prop_assert_eq!(TraceParent::parse(&parent.to_bytes()), Some(parent));
        } else {
            prop_assert!(trace_id == 0 || span_id == 0);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = TraceParent::parse(&bytes);
    }

    #[test]
    fn what_is_read_from_a_changed_example_prints_as_what_was_read(
        at in 0..55usize,
        byte in proptest::sample::select(b"0123456789abcdefABCDEF-g \xff".to_vec()),
    ) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        bytes[at] = byte;
        if let Some(parent) = TraceParent::parse(&bytes) {
            prop_assert_eq!(&parent.to_bytes()[3..52], &bytes[3..52]);
        }
    }
}
