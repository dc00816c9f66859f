use std::collections::BTreeMap;

use tidemap_wire::JoinGrant;

use super::labels;

#[test]
fn the_last_label_of_a_key_counts() {
    let of_invite =
        BTreeMap::from([("site".to_owned(), "fra".to_owned()), ("a".to_owned(), "b=c".to_owned())]);
    let grant = JoinGrant { labels: of_invite, ..JoinGrant::default() };
    assert_eq!(labels(Some("site=x,rack=7".to_owned()), &grant, &[]), "a=b=c,rack=7,site=fra");
    let given = [("site".to_owned(), "ams".to_owned())];
    assert_eq!(labels(None, &grant, &given), "a=b=c,site=ams");
    assert_eq!(labels(None, &JoinGrant::default(), &[]), "");
}
