from story import person


class Person(person.Person):
    sent_away_when_signed_in = True
