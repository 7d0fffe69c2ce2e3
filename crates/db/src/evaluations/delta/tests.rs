use proptest::prelude::*;

use super::super::paths::{pack_drv, pack_outputs};
use super::*;

fn held(seed: u64) -> Held {
    let word = |more: u64| seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(more);
    let hash = |more: u64| {
        let bytes: Vec<u8> = (0..3)
            .flat_map(|at| word(more + at).to_le_bytes())
            .collect();
        snowguard_store::nix32::encode(&bytes[..DIGEST])
    };
    let name = format!("p{}-{}", seed % 7, seed % 5);
    let drv_name = if seed.is_multiple_of(11) {
        "other".to_owned()
    } else {
        name.clone()
    };
    let drv = format!("/nix/store/{}-{drv_name}.drv", hash(1));
    let path = |output: &str, more| {
        let path = format!("/nix/store/{}-{name}{output}", hash(more));
        Some(path.into())
    };
    let mut outputs = vec![("out".into(), path("", 2))];
    if seed.is_multiple_of(3) {
        outputs.push(("dev".into(), path("-dev", 3)));
    }
    if seed.is_multiple_of(13) {
        outputs.push(("odd".into(), None));
    }
    Held {
        package: (seed % 9 + 1).cast_signed(),
        version: format!("{}", seed % 5).into(),
        fact: (seed % 17 + 1).cast_signed(),
        drv: (!seed.is_multiple_of(19)).then(|| pack_drv(&name, &drv).unwrap().into()),
        outputs: pack_outputs(&name, &outputs)
            .filter(|_| !seed.is_multiple_of(23))
            .map(Into::into),
        name: name.into(),
    }
}

fn sets() -> impl Strategy<Value = (Set, Set)> {
    let attribute = (
        1_i64..400,
        any::<Option<u8>>(),
        any::<Option<u8>>(),
        any::<bool>(),
    );
    proptest::collection::vec(attribute, 0..60).prop_map(|attributes| {
        let (mut head, mut parent) = (Set::new(), Set::new());
        for (id, is, was, is_same) in attributes {
            let was = if is_same { is } else { was };
            head.remove(&id);
            parent.remove(&id);
            head.extend(is.map(|seed| (id, held(u64::from(seed)))));
            parent.extend(was.map(|seed| (id, held(u64::from(seed)))));
        }
        (head, parent)
    })
}

proptest! {
    #[test]
    fn it_leads_back_and_survives_being_written((head, parent) in sets()) {
        let delta = Delta::between(&head, &parent);
        let bytes = delta.encode();
        let read = Delta::decode(&bytes).unwrap();
        prop_assert_eq!(&read, &delta);
        prop_assert_eq!(read.is_empty(), head == parent);
        let mut set = head.clone();
        read.apply(&mut set).unwrap();
        prop_assert_eq!(&set, &parent);
        // The other way is another delta, and leads to where it began.
        Delta::between(&parent, &head).apply(&mut set).unwrap();
        prop_assert_eq!(set, head);
    }

    #[test]
    fn it_belongs_to_one_pair_only((head, parent) in sets(), (other, _) in sets()) {
        prop_assume!(other != head);
        let delta = Delta::between(&head, &parent);
        prop_assert_eq!(delta.apply(&mut other.clone()), Err(DeltaError::Other));
    }

    #[test]
    fn damage_is_told((head, parent) in sets(), at: prop::sample::Index, bit in 0_u8..8) {
        let mut bytes = Delta::between(&head, &parent).encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Delta::decode(&bytes).is_err());
        bytes.truncate(at);
        prop_assert!(Delta::decode(&bytes).is_err());
    }
}

fn checked(mut body: Vec<u8>) -> Vec<u8> {
    let sum = xxh3_64(&body);
    body.extend(sum.to_le_bytes());
    body
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let header = |lengths: [u64; 3]| {
        let mut body = MAGIC.to_vec();
        body.extend([0; 16]);
        body.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
        checked(body)
    };
    for lengths in [
        [u64::MAX, 0, 0],
        [MOST_COLUMNS, 0, 0],
        [0, 1, 0],
        [0, u64::MAX, u64::MAX],
        [0, 0, MOST_DIGESTS + 1],
        [0, 0, 1],
    ] {
        assert!(matches!(
            Delta::decode(&header(lengths)),
            Err(DeltaError::Unsound(_) | DeltaError::Damaged)
        ));
    }
    assert_eq!(Delta::decode(b"").unwrap_err(), DeltaError::Format);
    assert_eq!(
        Delta::decode(&checked(b"SGdelta\x02".to_vec())).unwrap_err(),
        DeltaError::Format
    );
}

#[test]
fn a_mass_rebuild_is_its_hashes() {
    let set = |seed: u64| -> Set { (1..=1_000).map(|id| (id, plain(id, seed))).collect() };
    fn plain(id: i64, seed: u64) -> Held {
        let name = format!("package-{id}");
        let hash = |more: u64| {
            let bytes: Vec<u8> = (0..3)
                .flat_map(|at| {
                    xxh3_64(
                        &[seed, id.cast_unsigned(), at, more]
                            .map(u64::to_le_bytes)
                            .concat(),
                    )
                    .to_le_bytes()
                })
                .collect();
            snowguard_store::nix32::encode(&bytes[..DIGEST])
        };
        let out = format!("/nix/store/{}-{name}", hash(1));
        Held {
            package: id,
            version: "1".into(),
            fact: id,
            drv: pack_drv(&name, &format!("/nix/store/{}-{name}.drv", hash(0))).map(Into::into),
            outputs: pack_outputs(&name, &[("out".into(), Some(out.into()))]).map(Into::into),
            name: name.into(),
        }
    }
    let size = Delta::between(&set(1), &set(2)).encode().len();
    assert!((40_000..40_200).contains(&size), "{size}");
}
