//! Rules about plans, beside the plans that a file declares.

use tidemap_traffic::{Plan, Plans};

use super::{Measure, Rule, Rules, Subject};

impl Rules {
    /// The names of rules about plans.
    pub fn of_plans(&self) -> impl Iterator<Item = &str> {
        self.about_plans().map(|rule| rule.name.as_str())
    }

    /// Whether a rule judges this plan.
    pub fn judge(&self, plan: &Plan) -> bool {
        let is_about = |rule: &Rule| rule.plan.as_ref().is_none_or(|name| *name == plan.name);
        self.about_plans().any(|rule| is_about(rule) && rule.lacks(plan).is_none())
    }

    /// Rules that would never fire, because there is no such plan, or it has nothing that they measure: why,
    /// one line each.
    pub fn wrong_plans(&self, plans: &Plans) -> Vec<String> {
        let why = |rule: &Rule| Some(format!("rule {}: {}", rule.name, rule.wrong_plan(plans)?));
        self.about_plans().filter_map(why).collect()
    }

    fn about_plans(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.signal.measure.subject() == Subject::Plans)
    }
}

impl Rule {
    fn wrong_plan(&self, plans: &Plans) -> Option<String> {
        match &self.plan {
            Some(name) => match plans.named(name) {
                Some(plan) => self.lacks(plan).map(|what| format!("plan {name} has no {what}")),
                None => Some(format!("there is no plan {name}")),
            },
            None if plans.plans.iter().any(|plan| self.lacks(plan).is_none()) => None,
            None => {
                let what =
                    if self.signal.measure == Measure::P95 { "95th percentile to judge" } else { "quota" };
                Some(format!("no plan has a {what}"))
            }
        }
    }

    /// What a plan must have so that this rule can judge it.
    fn lacks(&self, plan: &Plan) -> Option<&'static str> {
        match self.signal.measure {
            Measure::P95 if !plan.p95 => Some("95th percentile"),
            Measure::P95 if self.test.is_none() && plan.commit.is_none() => {
                Some("agreed rate, and the rule no threshold")
            }
            Measure::P95 => None,
            _ if plan.quota.is_none() => Some("quota"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::AlertFile;

    use super::*;

    #[test]
    fn a_rule_about_a_plan_that_is_not_there_is_named() {
        let file = |rule: &str| {
            AlertFile::parse(&format!("[[rule]]\nname = \"r\"\nmetric = {rule}\n")).unwrap().rules
        };
        let plans = Plans::parse(
            "[[plan]]\nname = \"fair\"\nfleet = true\nquota = \"1 TB\"\n\
             [[plan]]\nname = \"transit\"\nfleet = true\np95 = true\n",
        )
        .unwrap();
        for (rule, wrong) in [
            ("\"offline\"", ""),
            ("\"quota\"", ""),
            ("\"quota\"\nplan = \"fair\"", ""),
            ("\"forecast\"\nplan = \"fare\"", "rule r: there is no plan fare"),
            ("\"quota\"\nplan = \"transit\"", "rule r: plan transit has no quota"),
            ("\"p95\"\nplan = \"fair\"\nabove = \"1 Gbit/s\"", "rule r: plan fair has no 95th percentile"),
            (
                "\"p95\"\nplan = \"transit\"",
                "rule r: plan transit has no agreed rate, and the rule no threshold",
            ),
            ("\"p95\"", "rule r: no plan has a 95th percentile to judge"),
            ("\"p95\"\nabove = \"1 Gbit/s\"", ""),
        ] {
            assert_eq!(file(rule).wrong_plans(&plans).join("\n"), wrong, "{rule}");
        }
        assert_eq!(file("\"quota\"").wrong_plans(&Plans::none()), ["rule r: no plan has a quota"]);
    }
}
