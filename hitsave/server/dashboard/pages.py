"""stub"""


def dashboard_routes(state):
    return []
