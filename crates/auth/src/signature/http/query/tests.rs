use proptest::prelude::*;

use super::*;

#[test]
fn names_are_lowered_and_values_decoded() {
    let query = Query::parse("Auth_Key=a%20b&x=1+2&y=%e2%82%ac&empty&also=&=nameless&bad=%zz%");
    assert_eq!(query.get("auth_key"), Some("a b"));
    assert_eq!(query.get("x"), Some("1 2"));
    assert_eq!(query.get("y"), Some("€"));
    assert_eq!(query.get("empty"), Some(""));
    assert_eq!(query.get("also"), Some(""));
    assert_eq!(query.get(""), Some("nameless"));
    assert_eq!(query.get("bad"), Some("%zz%"));
    assert_eq!(query.get("absent"), None);
}

#[test]
fn lists_are_read_in_every_way_they_are_written() {
    for text in ["c[]=a&c[]=b", "c[0]=a&c[1]=b", "c%5B%5D=a&c%5B%5D=b", "c=a&c=b"] {
        let query = Query::parse(text);
        assert_eq!(query.list("c").collect::<Vec<_>>(), ["a", "b"], "{text}");
    }
    assert_eq!(Query::parse("c[x]=a&cc[]=b&c]=d").list("c").count(), 0);
}

#[test]
fn a_name_that_is_there_twice_is_noticed() {
    assert_eq!(Query::parse("a=1&A=2").only("a"), Err(Repeated));
    assert_eq!(Query::parse("a=1&b=2").only("a"), Ok(Some("1")));
    assert_eq!(Query::parse("").only("a"), Ok(None));
}

proptest! {
    #[test]
    fn any_text_is_a_query(text in "[&=%+\\[\\]a-c0-9]{0,60}|.{0,60}") {
        let query = Query::parse(&text);
        prop_assert!(query.pairs().count() <= text.len());
        prop_assert!(query.signed_pairs().len() <= query.pairs().count());
    }
}
