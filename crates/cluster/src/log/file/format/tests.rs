use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Streams with the first sequence and the records of each group.
type Groups = Vec<(String, Sequence, Vec<Vec<u8>>)>;

fn groups() -> impl Strategy<Value = Groups> {
    vec(("[a-zé/]{1,20}", 1..u64::MAX / 2, vec(vec(any::<u8>(), 0..50), 1..5)), 0..5)
}

fn encode(groups: &Groups, salt: u64, offset: u64) -> Vec<u8> {
    let mut bytes = vec![1, 2, 3];
    begin_batch(&mut bytes);
    for (stream, first, records) in groups {
        put_group(&mut bytes, stream, *first, records.len() as u32);
        for (sequence, record) in (*first..).zip(records) {
            put_record(&mut bytes, sequence, record);
        }
    }
    seal_batch(&mut bytes, salt, offset);
    bytes
}

proptest! {
    #[test]
    fn a_batch_is_read_as_it_was_written(groups in groups(), salt: u64, offset: u64, rest in vec(any::<u8>(), 0..40)) {
        let mut bytes = encode(&groups, salt, offset);
        let length = bytes.len();
        bytes.extend(rest);
        let (read, decoded) = decode_batch(&bytes, salt, offset).unwrap();
        prop_assert_eq!(read, length);
        let decoded = decoded.iter().map(|group| {
            let records = (group.first..).zip(&group.records).map(|(sequence, range)| {
                decode_record(&bytes[range.clone()], sequence).unwrap().to_vec()
            });
            (group.stream.to_owned(), group.first, records.collect::<Vec<_>>())
        });
        prop_assert_eq!(decoded.collect::<Vec<_>>(), groups);
    }

    #[test]
    fn a_batch_that_was_cut_moved_or_changed_is_none(
        groups in groups(), salt: u64, offset in 0..1_000_000_u64, at: prop::sample::Index, bit in 0..8_u8,
    ) {
        let bytes = encode(&groups, salt, offset);
        let at = at.index(bytes.len());
        prop_assert!(decode_batch(&bytes[..at], salt, offset).is_err());
        prop_assert!(decode_batch(&bytes, salt, offset + 1).is_err());
        prop_assert!(decode_batch(&bytes, salt.wrapping_add(1), offset).is_err());
        let mut changed = bytes.clone();
        changed[at] ^= 1 << bit;
        prop_assert!(decode_batch(&changed, salt, offset).is_err());
    }

    #[test]
    fn a_record_is_none_at_another_sequence(record in vec(any::<u8>(), 0..50), sequence in 1..u64::MAX) {
        let mut bytes = Vec::new();
        put_record(&mut bytes, sequence, &record);
        prop_assert_eq!(decode_record(&bytes, sequence).unwrap(), record);
        prop_assert!(decode_record(&bytes, sequence - 1).is_err());
    }

    #[test]
    fn a_segment_header_is_read_as_it_was_written(number: u32, synced: bool, salt: u64, previous_bytes: u64) {
        let header = SegmentHeader { number, synced, salt, previous_bytes };
        prop_assert_eq!(header.encode().len(), SEGMENT_HEADER_BYTES);
        prop_assert_eq!(SegmentHeader::decode(&header.encode()).unwrap(), header);
    }

    #[test]
    fn no_bytes_are_too_odd_to_be_decoded(bytes in vec(any::<u8>(), 0..200), salt: u64, offset: u64) {
        let _ = SegmentHeader::decode(&bytes);
        let _ = decode_batch(&bytes, salt, offset);
        let _ = decode_record(&bytes, offset);
        let _ = find_batch(&bytes, 0, salt);
        // A checksum would keep odd bytes from this one.
        let _ = decode_groups(&bytes);
    }
}

#[test]
fn a_batch_is_found_behind_others_bytes() {
    let mut bytes = vec![0xB4; 100];
    let batch = encode(&vec![("s".into(), 1, vec![b"record".to_vec()])], 7, 100);
    bytes.extend(&batch);
    assert_eq!(find_batch(&bytes, 0, 7), Some(100));
    assert_eq!(find_batch(&bytes, 101, 7), None);
    assert_eq!(find_batch(&bytes, 0, 8), None, "of another segment");
}
