use proptest::prelude::*;

use super::{CROWD, Cluster, ClusterSummary, Clusters};
use crate::grid::Grid;
use crate::places::Places;
use crate::places::tests::Fleet;
use crate::projection::Viewport;

const WORLD_PX: f64 = 1024.0;

fn clusters(fleet: &Fleet, world_px: f64) -> (Places, Clusters) {
    let places = Places::of(&fleet.markers());
    let clusters = Clusters::new(&places, &Grid::new(&places, world_px));
    (places, clusters)
}

#[test]
fn a_crowd_becomes_one_bubble_with_its_sums() {
    let mut fleet = Fleet::default();
    for node in 0..=CROWD {
        let rate = if node == 0 { f32::NAN } else { 1e6 };
        fleet.add(48.0 + node as f32 * 0.001, 11.0, u8::from(node % 10 == 9), rate, 2e6);
    }
    let (places, clusters) = clusters(&fleet, WORLD_PX);
    assert_eq!(clusters.iter().count(), 1);
    let cluster = clusters.get(0).unwrap();
    assert!(!cluster.one_site);
    let expected = ClusterSummary { by_status: [46, 5, 0, 0], rx: 45e6, tx: 92e6 };
    assert_eq!(clusters.summary(cluster, &places, &fleet.markers()), expected);
}

#[test]
fn fewer_nodes_stand_for_themselves() {
    let mut fleet = Fleet::default();
    for node in 0..9_u8 {
        fleet.add(f32::from(node / 3) * 3.0, f32::from(node % 3) * 3.0, 0, 0.0, 0.0);
    }
    assert_eq!(clusters(&fleet, WORLD_PX).1.iter().count(), 0);
}

#[test]
fn the_nodes_of_one_town_do_not_look_like_one() {
    let mut fleet = Fleet::default();
    for node in 0..30_u8 {
        fleet.add(-1.28 + f32::from(node) * 0.002, 36.8, 0, 0.0, 0.0);
    }
    assert_eq!(clusters(&fleet, WORLD_PX).1.iter().map(Cluster::count).collect::<Vec<_>>(), [30]);
}

#[test]
fn two_nodes_at_one_place_do_not_look_like_one() {
    let mut fleet = Fleet::default();
    fleet.add(48.0, 11.0, 0, 0.0, 0.0).add(48.0, 11.0, 2, 0.0, 0.0).add(-30.0, 20.0, 0, 0.0, 0.0);
    let (_, clusters) = clusters(&fleet, WORLD_PX);
    assert_eq!(clusters.iter().map(|it| (it.count(), it.one_site)).collect::<Vec<_>>(), [(2, true)]);
    assert_eq!((clusters.of(1), clusters.of(2)), (Some(0), None));
}

#[test]
fn zooming_in_takes_a_cluster_apart() {
    let mut fleet = Fleet::default();
    for node in 0..200_u8 {
        fleet.add(40.0 + f32::from(node / 20), 10.0 + f32::from(node % 20), 0, 0.0, 0.0);
    }
    assert!(clusters(&fleet, WORLD_PX).1.iter().count() >= 1);
    assert_eq!(clusters(&fleet, WORLD_PX * 64.0).1.iter().count(), 0);
}

/// A fleet as it is: towns of hundreds, whole racks at one place, and nodes all over the world.
fn world_fleet(nodes: u32, seed: u64) -> Fleet {
    let mut fleet = Fleet::default();
    let mut state = seed;
    let mut random = |below: u32| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % below
    };
    for node in 0..nodes {
        let town = random(40);
        let (lat, lon) = ((town * 37 % 120) as f32 - 55.0, (town * 83 % 360) as f32 - 180.0);
        let spread = [0, 100, 1000, 40_000][random(4) as usize];
        let mut beside = || random(spread + 1) as f32 / 1000.0;
        let (lat, lon) = (lat + beside(), lon + beside());
        // Whole numbers that a float holds exactly: then sums are exact in any order.
        let mut rate = || if random(50) == 0 { f32::NAN } else { random(1 << 24) as f32 };
        let (rx, tx) = (rate(), rate());
        fleet.add(lat, lon, u8::from(node % 31 == 7) + u8::from(node % 17 == 3), rx, tx);
    }
    fleet
}

fn flow(fleet: &Fleet, row: usize) -> [f64; 2] {
    let known = |rate: f32| if rate.is_nan() { 0.0 } else { f64::from(rate) };
    if fleet.status[row] == 0 { [known(fleet.rx[row]), known(fleet.tx[row])] } else { [0.0; 2] }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(4))]
    #[test]
    fn a_cluster_is_the_sum_of_its_nodes_at_every_zoom(seed: u64) {
        let fleet = world_fleet(10_000, seed);
        for zoom in [0, 1, 3, 5, 8, 11] {
            let (places, clusters) = clusters(&fleet, 256.0 * f64::from(1 << zoom));
            // Taken from each node itself, and not from the lists that are summed.
            let mut expected = vec![(0, [0.0; 2]); clusters.iter().count()];
            let (mut alone, mut all) = ([0.0; 2], [0.0; 2]);
            for at in 0..places.len() {
                let flow = flow(&fleet, places.row[at] as usize);
                let sum = match clusters.of(at) {
                    Some(number) => {
                        expected[number].0 += 1;
                        &mut expected[number].1
                    }
                    None => &mut alone,
                };
                *sum = [sum[0] + flow[0], sum[1] + flow[1]];
                all = [all[0] + flow[0], all[1] + flow[1]];
            }
            prop_assert!(zoom > 5 || expected.iter().any(|it| it.0 > super::CROWD), "no crowd at {zoom}");
            for (cluster, (count, flow)) in clusters.iter().zip(&expected) {
                let summary = clusters.summary(cluster, &places, &fleet.markers());
                prop_assert_eq!((cluster.count(), [summary.rx, summary.tx]), (*count, *flow));
                prop_assert_eq!(summary.by_status.iter().sum::<usize>(), *count);
                alone = [alone[0] + summary.rx, alone[1] + summary.tx];
            }
            prop_assert_eq!(alone, all, "at zoom {}", zoom);
        }
    }
}

proptest! {
    #[test]
    fn every_node_is_drawn_once_and_bubbles_keep_apart(
        nodes in prop::collection::vec((0_u8..60, 0_u8..40), 0..600), shrink in 1_u8..30,
    ) {
        let mut fleet = Fleet::default();
        for (x, y) in nodes {
            fleet.add(f32::from(y) / f32::from(shrink), f32::from(x) / f32::from(shrink), 0, 1.0, 0.0);
        }
        let (places, clusters) = clusters(&fleet, WORLD_PX);
        let alone = (0..places.len()).filter(|&at| clusters.is_alone(at)).count();
        prop_assert_eq!(alone + clusters.iter().map(|it| it.count()).sum::<usize>(), places.len());
        let viewport = Viewport::new(WORLD_PX, WORLD_PX);
        let viewport = viewport.zoomed((WORLD_PX / 256.0).log2(), viewport.to_point(places_middle()));
        for (number, cluster) in clusters.iter().enumerate() {
            for &at in clusters.members(cluster) {
                prop_assert_eq!(clusters.of(at as usize), Some(number));
            }
            for other in clusters.iter().skip(number + 1) {
                let (a, b) = (viewport.to_point(cluster.centre), viewport.to_point(other.centre));
                // Joining lets a bubble grow by a few pixels at most.
                prop_assert!(a.distance(b) + 12.0 >= cluster.radius_px + other.radius_px);
            }
        }
    }
}

fn places_middle() -> crate::projection::World {
    crate::projection::World { x: 0.5, y: 0.5 }
}
