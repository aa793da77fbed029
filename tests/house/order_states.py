"""Order states: draws the two tables of ``checkout.orders.rule`` for docs/order-states.md."""

from checkout.orders.order import OVER, Goal, OrderState
from checkout.orders.rule import ACTS, STEPS, Act, Standing


def drawing() -> str:
    """Draw how an order goes from state to state, as a Mermaid diagram."""
    rows = [f"    {was} --> {to}: {happening}" for (was, happening), to in STEPS.items()]
    ends = [f"    {state} --> [*]" for state in OrderState if state in OVER or state is OrderState.PAID]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> open: opened", *rows, *ends, "```", ""])


def acts(goal: Goal) -> list[tuple[str, ...]]:
    """Tell what is done next with an attempt of this goal: a row for each state."""
    found: list[tuple[str, ...]] = []
    for (its_goal, state), told in ACTS.items():
        if its_goal is not goal:
            continue
        if isinstance(told, Act):
            found.append((state.value, told.value))
        else:
            by = {standing: told.get(standing, Act.TURN) for standing in Standing}
            named = ", ".join(f"{standing}: {act}" for standing, act in by.items() if act is not Act.TURN)
            found.append((state.value, f"{named}; else {Act.TURN}" if named else Act.TURN.value))
    return found
