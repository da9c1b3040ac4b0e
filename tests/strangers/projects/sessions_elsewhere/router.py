OF_SESSIONS = {"sessions", "multisession"}


class SessionsElsewhere:
    def db_for_read(self, model, **hints):
        return "sessions" if model._meta.app_label in OF_SESSIONS else "default"

    db_for_write = db_for_read

    def allow_relation(self, one, other, **hints):
        return True

    def allow_migrate(self, db, app_label, **hints):
        return (db == "sessions") == (app_label in OF_SESSIONS)
