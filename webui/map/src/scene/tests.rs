use super::steering::Touch;
use super::{Answer, Form, Scene, Under};
use crate::Markers;
use crate::places::tests::Fleet;
use crate::projection::{Point, World};

const BERLIN: (f32, f32) = (52.52, 13.4);
const MADRID: (f32, f32) = (40.4, -3.7);

/// Five nodes in Berlin, one in Madrid.
fn fleet() -> Fleet {
    let mut fleet = Fleet::default();
    for _ in 0..5 {
        fleet.add(BERLIN.0, BERLIN.1, 0, 1e6, 1e6);
    }
    fleet.add(MADRID.0, MADRID.1, 2, 0.0, 0.0);
    fleet
}

fn scene(fleet: &Fleet) -> Scene {
    let mut scene = Scene::new(800.0, 600.0, true);
    scene.update(&fleet.markers());
    scene.advance(0.0);
    scene.regroup();
    scene
}

fn seen(scene: &Scene, (lat, lon): (f32, f32)) -> Point {
    scene.viewport().to_point(World::from_degrees(f64::from(lat), f64::from(lon)).unwrap())
}

fn tap(scene: &mut Scene, at: Point, at_ms: f64) -> Option<Answer> {
    let touch = Touch { id: 1, at, is_touch: false, at_ms };
    scene.press(touch);
    let answer = scene.release(touch);
    scene.advance(at_ms);
    scene.regroup();
    answer
}

fn select(scene: &mut Scene, fleet: &Fleet, row: Option<usize>) {
    scene.update(&Markers { selected: row, ..fleet.markers() });
    scene.advance(0.0);
    scene.regroup();
}

#[test]
fn the_fleet_is_in_view_until_the_reader_moves_the_map() {
    let mut fleet = fleet();
    let mut scene = scene(&fleet);
    let inside = |at: Point| (40.0..=760.0).contains(&at.x) && (40.0..=560.0).contains(&at.y);
    assert!(inside(seen(&scene, BERLIN)) && inside(seen(&scene, MADRID)));
    assert!(scene.viewport().zoom() > 3.0, "as close as it can be");

    scene.key("ArrowLeft");
    let before = *scene.viewport();
    fleet.add(-33.9, 151.2, 0, 0.0, 0.0);
    scene.update(&Markers { generation: 2, ..fleet.markers() });
    assert_eq!(*scene.viewport(), before, "it does not move under the reader's hands");
    scene.key("Home");
    scene.advance(0.0);
    assert!(inside(seen(&scene, (-33.9, 151.2))));
}

#[test]
fn a_tap_selects_a_node_and_a_tap_beside_it_nothing() {
    let fleet = fleet();
    let mut scene = scene(&fleet);
    let madrid = seen(&scene, MADRID);
    assert_eq!(tap(&mut scene, madrid, 0.0), Some(Answer::Select(Some(5))));
    select(&mut scene, &fleet, Some(5));
    assert_eq!(tap(&mut scene, Point::new(madrid.x, madrid.y - 60.0), 1000.0), Some(Answer::Select(None)));
}

#[test]
fn nodes_at_one_place_fan_out_and_can_be_chosen() {
    let fleet = fleet();
    let mut scene = scene(&fleet);
    let berlin = seen(&scene, BERLIN);
    assert_eq!(scene.under(berlin, 12.0), Some(Under::Cluster(0)));
    assert_eq!(tap(&mut scene, berlin, 0.0), Some(Answer::Redraw));
    assert_eq!(scene.opened().map(|it| (it.form, it.rows.len())), Some((Form::Fan, 5)));
    let third = scene.point_of(2).unwrap();
    assert!(third.distance(seen(&scene, BERLIN)) > 30.0);
    assert_eq!(tap(&mut scene, third, 1000.0), Some(Answer::Select(Some(2))));
    select(&mut scene, &fleet, Some(2));
    assert!(scene.opened().is_some(), "the fan stays while one of its nodes is selected");
    assert_eq!(scene.key("Escape"), Some(Answer::Select(None)));
    assert_eq!(scene.opened(), None);
}

#[test]
fn a_crowd_at_one_place_opens_as_a_list() {
    let mut fleet = Fleet::default();
    for _ in 0..300 {
        fleet.add(BERLIN.0, BERLIN.1, 0, 1e6, 1e6);
    }
    let mut scene = scene(&fleet);
    let berlin = seen(&scene, BERLIN);
    tap(&mut scene, berlin, 0.0);
    assert_eq!(scene.opened().map(|it| (it.form, it.rows.len())), Some((Form::List, 300)));
    assert_eq!(scene.count_at(7), 300);
}

#[test]
fn a_tap_on_a_mixed_cluster_zooms_until_it_comes_apart() {
    let mut fleet = Fleet::default();
    for node in 0..400_u16 {
        let (lat, lon) = (f32::from(node / 20) * 0.05, f32::from(node % 20) * 0.05);
        fleet.add(50.0 + lat, 8.0 + lon, 0, 1e6, 1e6);
    }
    fleet.add(-33.9, 151.2, 0, 0.0, 0.0);
    let mut scene = scene(&fleet);
    let mut taps = 0;
    while let Some(cluster) = scene.clusters().iter().next() {
        let at = scene.viewport().to_point(cluster.centre);
        let zoom = scene.viewport().zoom();
        taps += 1;
        assert_eq!(tap(&mut scene, at, f64::from(taps) * 1000.0), Some(Answer::Redraw));
        assert!(scene.viewport().zoom() >= zoom + 0.99, "each tap goes closer");
    }
    assert!((1..=5).contains(&taps), "{taps}");
}

#[test]
fn a_node_selected_elsewhere_comes_into_view() {
    let fleet = fleet();
    let mut scene = scene(&fleet);
    scene.wheel(5.0, seen(&scene, BERLIN));
    assert!(seen(&scene, MADRID).x < 0.0);
    select(&mut scene, &fleet, Some(5));
    assert!(seen(&scene, MADRID).distance(Point::new(400.0, 300.0)) < 1.0);
}

#[test]
fn the_selected_node_stays_where_it_is_while_keys_zoom() {
    let fleet = fleet();
    let mut scene = scene(&fleet);
    select(&mut scene, &fleet, Some(5));
    let before = seen(&scene, MADRID);
    scene.key("+");
    scene.advance(0.0);
    assert!(seen(&scene, MADRID).distance(before) < 0.01);
    assert!(seen(&scene, BERLIN).x > 800.0);
}

#[test]
fn brackets_step_through_what_is_in_view_and_come_round() {
    let fleet = fleet();
    let mut scene = scene(&fleet);
    let mut visited = Vec::new();
    for _ in 0..7 {
        let Some(Answer::Select(Some(row))) = scene.key("]") else { panic!("no node in view") };
        visited.push(row);
        select(&mut scene, &fleet, Some(row));
    }
    assert_eq!(visited, [5, 0, 1, 2, 3, 4, 5]);
    assert_eq!(scene.key("["), Some(Answer::Select(Some(0))), "the fan has closed: one stands for all");
    assert_eq!(scene.key("Enter"), Some(Answer::Open(0)));
    assert_eq!(scene.key("x"), None);
}

#[test]
fn brackets_visit_a_crowd_once() {
    let mut fleet = Fleet::default();
    for node in 0..100 {
        fleet.add(
            if node < 99 { 50.0 } else { 10.0 },
            10.0 + if node < 99 { 0.0 } else { 20.0 },
            0,
            0.0,
            0.0,
        );
    }
    let mut scene = scene(&fleet);
    select(&mut scene, &fleet, Some(50));
    assert_eq!(scene.key("]"), Some(Answer::Select(Some(99))));
    assert_eq!(scene.key("["), Some(Answer::Select(Some(0))));
    select(&mut scene, &fleet, Some(99));
    assert_eq!(scene.key("]"), Some(Answer::Select(Some(0))));
}

#[test]
fn a_place_that_empties_closes() {
    let mut fleet = fleet();
    let mut scene = scene(&fleet);
    let berlin = seen(&scene, BERLIN);
    tap(&mut scene, berlin, 0.0);
    for row in 0..4 {
        fleet.name[row] = None;
    }
    scene.update(&Markers { generation: 2, ..fleet.markers() });
    assert_eq!(scene.opened(), None);
}

#[test]
fn two_quick_steps_are_two() {
    let fleet = fleet();
    let mut scene = scene(&fleet);
    // Madrid lies west of Berlin; no frame comes in between.
    assert_eq!(scene.key("]"), Some(Answer::Select(Some(5))));
    assert_eq!(scene.key("]"), Some(Answer::Select(Some(0))));
    assert_eq!(scene.key("Enter"), Some(Answer::Open(0)));
}
