"""The small charts of a run's curves.png, and those of what only some methods measure (docs/methods.md)."""

from __future__ import annotations

from dataclasses import dataclass

from deepcrl.run.plots.style import SKY, VERMILION


@dataclass(frozen=True, slots=True)
class Panel:
    """One small chart: the metrics it draws, with their labels (the first is the headline), unit and y limits."""

    title: str
    unit: str
    metrics: tuple[tuple[str, str], ...]
    color: str
    limits: tuple[float | None, float | None] = (None, None)


OF_METHODS = (
    Panel(
        "Survival Z(s, a)",
        "mean of batch",
        (("survival/mean", "predicted"), ("survival/label", "label")),
        SKY,
        (0, 1),
    ),
    Panel("Survival loss", "nats", (("survival/loss", ""),), SKY, (0, None)),
    Panel("Trajectory falls", "share of batch", (("survival/fell", ""),), SKY, (0, None)),
    Panel("Falls within the horizon", "share of batch", (("actor/fall_share", ""),), SKY, (0, None)),
    Panel("Goals reached in hindsight", "share of batch", (("critic/hit", ""),), VERMILION, (0, 1)),
    Panel(
        "Goals reached at once",
        "share of batch",
        (("critic/hit_at_once", "predicted"), ("critic/at_goal", "label")),
        VERMILION,
        (0, 1),
    ),
    Panel(
        "Time to goals reached later",
        "steps",
        (("critic/steps_by_distance", "by distance"), ("critic/steps_to_goal", "label")),
        VERMILION,
        (0, None),
    ),
    Panel("Hazard loss", "nats", (("critic/hazard_loss", ""),), VERMILION, (0, None)),
    Panel("Time loss", "Huber, of the distance", (("critic/time_loss", ""),), VERMILION, (0, None)),
    Panel("Separation loss", "hinge, of the distance", (("critic/separation_loss", ""),), VERMILION, (0, None)),
    Panel(
        "Occupancy: time near the goal",
        "share, mean of bins",
        (("critic/occupancy_predicted", "predicted"), ("critic/occupancy", "label")),
        VERMILION,
        (0, None),
    ),
    Panel("Occupancy loss", "nats", (("critic/occupancy_loss", ""),), VERMILION, (0, None)),
)
