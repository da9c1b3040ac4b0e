from own.models import Account, Member
from story.stories import story


def tell(model):
    name = model.__name__.lower()

    @story(name=f"deactivated_through_{name}")
    def deactivated(site):
        browser = site.browser()
        browser.sign_in("ada")
        ada = model.objects.get(username="ada")
        ada.is_active = False
        ada.save()
        yield "nobody", browser.who(), None
        ada.is_active = True
        ada.save()
        yield "for good", browser.who(), None

    @story(name=f"deleted_through_{name}")
    def deleted(site):
        browser = site.browser()
        browser.sign_in("ada")
        model.objects.get(username="ada").delete()
        yield "nobody", browser.who(), None
        page = browser.sign_in("grace")
        yield "signed in as another", (page.status, browser.who()), (200, "grace")


for model in (Account, Member):
    tell(model)
