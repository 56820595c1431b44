"""The part of keeper/curator_suite that is about the recipes other than locks and leaders."""

from harness import places


def case(t):
    module = places.load_case("keeper/curator_suite")
    module.case(t, "curator_recipes_suite")
