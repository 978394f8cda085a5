"""Which modules declare the models that `loop_location.py` feeds from files."""

FOUND_IN = {
    "bike_demand": "examples.bike_demand.model",
    "electricity": "examples.electricity.model",
    "hotel_cancellations": "examples.hotel_cancellations.model",
    "doctor_visits": "defs.doctor_visits.model",
}
